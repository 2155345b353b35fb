import pytest

from sweeper.launch import resources


@pytest.fixture
def machine(monkeypatch):
    """Return a function that sets the cores, gigabytes and GPUs of the machine."""

    def set_up(cores=4, gigabytes=64, gpus=()):
        for name in resources.THREAD_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(gpus))
        monkeypatch.setattr(resources, "n_cores", lambda: cores)
        monkeypatch.setattr(resources, "_available_memory_bytes", lambda: gigabytes * 2**30)

    return set_up


@pytest.mark.parametrize(
    ("n_jobs", "hardware", "n"),
    [
        (3, {"cores": 1}, 3),
        ("auto", {"cores": 4}, 4),
        ("auto", {"cores": 16, "gigabytes": 6}, 4),
        ("auto", {"cores": 2, "gigabytes": 0}, 1),
        ("auto", {"cores": 16, "gpus": ("0", "2")}, 2),
    ],
)
def test_auto_is_one_worker_per_gpu_or_as_many_as_cores_and_memory_allow(
    machine, n_jobs, hardware, n
) -> None:
    machine(**hardware)
    assert resources.n_workers(n_jobs) == n


@pytest.mark.parametrize(
    ("n_jobs", "gpus", "n"), [("auto", ("0", "2"), 6), ("auto", (), 4), (5, ("0", "2"), 5)]
)
def test_auto_is_several_workers_per_gpu_if_they_share_it(machine, caplog, n_jobs, gpus, n) -> None:
    machine(cores=4, gpus=gpus)
    assert resources.n_workers(n_jobs, 3) == n
    assert ("there is no GPU here" in caplog.text) == (not gpus)


def test_gpus_are_assigned_in_turn(machine) -> None:
    machine(gpus=("4", "7"))
    assigned = [resources.worker_environment(i, 3)["CUDA_VISIBLE_DEVICES"] for i in range(3)]
    assert assigned == ["4", "7", "4"]


@pytest.mark.parametrize(("cores", "n", "threads"), [(8, 2, "4"), (8, 3, "2"), (2, 5, "1")])
def test_threads_are_divided_among_the_workers(machine, cores, n, threads) -> None:
    machine(cores=cores)
    environment = resources.worker_environment(0, n)
    assert {environment[name] for name in resources.THREAD_VARIABLES} == {threads}
    assert "CUDA_VISIBLE_DEVICES" not in environment


def test_a_thread_count_that_the_user_has_set_is_kept(machine, monkeypatch) -> None:
    machine(cores=8)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = resources.worker_environment(0, 2)
    assert (environment["OMP_NUM_THREADS"], environment["MKL_NUM_THREADS"]) == ("3", "4")


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        ("", []),
        ("-1", []),
        ("-1,0", []),
        ("none", []),
        ("NoDevFiles", []),
        ("0,3", ["0", "3"]),
        (" 0, 3 ", ["0", "3"]),
        ("0,-1,3", ["0"]),
        ("0,,3", ["0"]),
        ("GPU-a1", ["GPU-a1"]),
        ("MIG-a1,MIG-GPU-b2/1/0", ["MIG-a1", "MIG-GPU-b2/1/0"]),
    ],
)
def test_only_visible_gpus_are_used(monkeypatch, visible, gpus) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert resources.visible_gpus() == gpus


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """Return a function that replaces nvidia-smi by lines of a shell; `calls` lists its calls."""
    program, calls = tmp_path / "nvidia-smi", tmp_path / "calls"

    def replace(lines):
        program.write_text(f"#!/bin/sh\necho called >> {calls}\n{lines}\n")
        program.chmod(0o755)
        return calls

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    resources._n_gpus_of_driver.cache_clear()
    yield replace
    resources._n_gpus_of_driver.cache_clear()


def test_gpus_are_counted_by_nvidia_smi_once(driver) -> None:
    calls = driver("echo 'GPU 0: H200'\necho '  MIG 1g'\necho 'GPU 1: H200'")
    assert resources.n_workers("auto", 2) == 4
    assert resources.worker_environment(1, 4)["CUDA_VISIBLE_DEVICES"] == "1"
    assert calls.read_text().split() == ["called"]


def test_a_driver_that_fails_has_no_gpu(driver) -> None:
    driver("echo 'GPU 0: H200'\nexit 9")
    assert resources.visible_gpus() == []


def test_a_driver_that_does_not_answer_has_no_gpu(driver, monkeypatch, caplog) -> None:
    driver("exec sleep 60")
    monkeypatch.setattr(resources, "DRIVER_SECONDS", 0.2)
    assert resources.visible_gpus() == resources.visible_gpus() == []
    (record,) = caplog.records
    assert "such as CUDA_VISIBLE_DEVICES=0,1" in record.message


def test_the_memory_of_a_container_limits_the_workers(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(resources, "n_cores", lambda: 64)
    monkeypatch.setattr(resources, "free_memory_bytes", lambda: 4 * 2**30)
    assert resources.n_workers("auto") <= 2
