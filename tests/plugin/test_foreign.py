"""Small applications of other people, written without this project in mind, run as studies."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

SWEEPER = ["--multirun", "hydra/sweeper=sweeper", "hydra.sweeper.study_name=s"]
LAUNCHERS = pytest.mark.parametrize("launcher", ["basic", "local"])
Run = Callable[..., list[str]]

TASK = """
import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from pathlib import Path

def see(*values):
    text = " ".join(str(value) for value in values)
    Path(HydraConfig.get().runtime.output_dir, "seen").write_text(text)
    return 0.0
"""
MAIN = """
if __name__ == "__main__":
    main()
"""
CONFIG = "x: 1\nname: a\n"


def app(body: str, decorator: str = 'config_path=".", config_name="config", version_base="1.3"'):
    return f"{TASK}\n@hydra.main({decorator})\ndef main(cfg):\n    {body}\n{MAIN}"


@pytest.fixture
def run(tmp_path: Path, python: str) -> Run:
    """Return a function that runs an application as a study and returns what its trials saw."""

    def run(files: Mapping[str, str], *arguments: str, start: tuple[str, ...] = ("app.py",)):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(dedent(text))
        command = [python, *start, *SWEEPER, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        seen = (tmp_path / "multirun/s").glob("[0-9]*/seen")
        return [path.read_text() for path in sorted(seen)]

    return run


STRUCTURED = TASK + '''
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Union
from hydra.core.config_store import ConfigStore
from omegaconf import II, MISSING

class Color(Enum):
    RED = 1
    GREEN = 2

@dataclass
class Optimizer:
    lr: float = 1.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.99])

@dataclass
class Config:
    color: Color = Color.RED
    path: Path = Path("data/my images")
    size: Union[int, str] = 3
    optimizer: Optimizer = field(default_factory=Optimizer)
    job: Any = II("hydra:job.num")
    seconds: int = MISSING
    secret: bytes = b"key"

ConfigStore.instance().store("config", Config)

@hydra.main(config_path=None, config_name="config", version_base="1.3")
def main(cfg):
    assert isinstance(cfg.color, Color) and isinstance(cfg.path, Path)
    assert cfg.color in (Color.RED, Color.GREEN)
    return see(cfg.color.name, cfg.path, cfg.size, cfg.optimizer.lr, cfg.optimizer.betas)
''' + MAIN  # fmt: skip


@LAUNCHERS
@pytest.mark.parametrize(
    ("overrides", "seen"),
    [
        (["color=GREEN,RED"], ["GREEN data/my images 3 1.0 [0.9, 0.99]"]),
        (["path='a b',c", "optimizer.lr=10"], ["RED a b 3 10.0 [0.9, 0.99]"]),
    ],
)
def test_a_structured_config_keeps_its_types(run, launcher, overrides, seen) -> None:
    found = run({"app.py": STRUCTURED}, f"hydra/launcher={launcher}", *overrides)
    assert len(found) == 2
    assert found[: len(seen)] == seen


@LAUNCHERS
def test_a_sampled_study_begins_with_the_default_of_every_type(run, launcher) -> None:
    found = run(
        {"app.py": STRUCTURED}, f"hydra/launcher={launcher}", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1", "color=GREEN,RED", "path=b,'data/my images'", "size=big,3",
        "optimizer.lr=0.1,1,10", "job=5,6", "seconds=1,2",
    )  # fmt: skip
    assert found[0] == "RED data/my images 3 1.0 [0.9, 0.99]"


@pytest.mark.parametrize("version_base", ["None", '"1.1"', '"1.3"'])
def test_every_version_base_is_served(run, version_base) -> None:
    body = "return see(cfg.x, Path.cwd() == Path(hydra.utils.get_original_cwd()))"
    main = app(body, f'config_path=".", config_name="config", version_base={version_base}')
    moves = version_base == '"1.1"'
    found = run({"app.py": main, "config.yaml": CONFIG}, "x=1,2")
    assert found == [f"1 {not moves}", f"2 {not moves}"]


@LAUNCHERS
def test_a_task_in_its_own_folder_finds_the_original_one(run, launcher, tmp_path) -> None:
    body = """
    from hydra.utils import get_original_cwd, to_absolute_path
    return see(cfg.x, Path.cwd().name, get_original_cwd(), to_absolute_path("a"),
               HydraConfig.get().job.num)
"""
    files = {"app.py": app(body), "config.yaml": CONFIG}
    found = run(files, "x=1,2", "hydra.job.chdir=true", f"hydra/launcher={launcher}")
    assert found == [f"{n + 1} {n} {tmp_path} {tmp_path / 'a'} {n}" for n in range(2)]


def test_groups_come_from_a_package_and_from_the_search_path(run) -> None:
    files = {
        "app.py": app("return see(cfg.db.name, cfg.net.name)", 'config_path="pkg://mine.conf", '
                      'config_name="config", version_base="1.3"'),
        "mine/__init__.py": "",
        "mine/conf/__init__.py": "",
        "mine/conf/config.yaml": """
            defaults: [{db: small}, {net: a}, _self_]
            hydra: {searchpath: ["file://more", "pkg://mine.other"]}
            """,
        "mine/conf/db/small.yaml": "name: small",
        "mine/conf/db/large.yaml": "name: large",
        "mine/other/__init__.py": "",
        "mine/other/net/a.yaml": "name: a",
        "more/net/b.yaml": "name: b",
    }  # fmt: skip
    assert run(files, "db=small,large", "net=a,b") == ["small a", "small b", "large a", "large b"]


def test_an_experiment_file_may_override_groups(run) -> None:
    files = {
        "app.py": app("return see(cfg.db.name, cfg.x)"),
        "config.yaml": "defaults: [{db: small}, _self_]\nx: 1\n",
        "db/small.yaml": "name: small",
        "db/large.yaml": "name: large",
        "experiment/one.yaml": "# @package _global_\nx: 5",
        "experiment/two.yaml": "# @package _global_\ndefaults: [{override /db: large}]\nx: 6",
    }
    assert run(files, "+experiment=one,two") == ["small 5", "large 6"]
    assert run(files, "+experiment=two", "x=7,8", "hydra.sweeper.study=fresh") == [
        "large 7",
        "large 8",
    ]


def test_an_experiment_file_may_bring_the_search_space(run) -> None:
    files = {
        "app.py": app("return see(cfg.x)"),
        "config.yaml": CONFIG,
        "experiment/one.yaml": """
            # @package _global_
            defaults: [{override /hydra/sweeper/sampler: random}]
            hydra: {sweeper: {params: {x: "choice(4, 5)", name: b}}}
            """.lstrip("\n").replace("            ", ""),
    }
    assert run(files, "+experiment=one") == ["4", "5"]


def test_the_callbacks_of_the_application_are_called_for_each_trial(run, tmp_path) -> None:
    callback = """
        from hydra.experimental.callback import Callback

        class Log(Callback):
            def __getattribute__(self, name):
                if name.startswith("on_"):
                    with open("/calls".join([__file__.rpartition("/")[0], ""]), "a") as file:
                        file.write(name + "\\n")
                return super().__getattribute__(name)
        """
    files = {
        "app.py": app("return see(cfg.x)"),
        "calls_log.py": callback,
        "config.yaml": CONFIG + "hydra: {callbacks: {log: {_target_: calls_log.Log}}}",
    }
    run(files, "x=1,2")
    calls = (tmp_path / "calls").read_text().split()
    expected = ["on_multirun_start", *["on_job_start", "on_job_end"] * 2, "on_multirun_end"]
    assert [call for call in calls if call in expected] == expected


def test_a_resolver_of_the_application_is_evaluated_for_each_trial(run) -> None:
    resolver = 'OmegaConf.register_new_resolver("twice", lambda x: 2 * x)\n'
    main = app("return see(cfg.x, cfg.double, cfg.size)").replace("\n@hydra", resolver + "\n@hydra")
    files = {"app.py": main, "config.yaml": "x: 3\ndouble: ${twice:${x}}\nsize: ${double}"}
    assert run(files, "x=1,2", "size=6,7") == ["1 2 6", "1 2 7", "2 4 6", "2 4 7"]


@LAUNCHERS
def test_an_application_may_be_a_module_of_a_package(run, launcher) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/app.py": app("return see(cfg.x)"),
        "pkg/config.yaml": CONFIG,
    }
    assert run(files, "x=1,2", f"hydra/launcher={launcher}", start=("-m", "pkg.app")) == ["1", "2"]


@LAUNCHERS
def test_an_application_may_be_a_console_script(run, launcher, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    script = "#!/usr/bin/env python\nimport sys\nfrom pkg.app import main\nsys.exit(main())\n"
    files = {
        "pkg/__init__.py": "",
        "pkg/app.py": app("return see(cfg.x)"),
        "pkg/config.yaml": CONFIG,
        "bin/train": script,
    }
    assert run(files, "x=1,2", f"hydra/launcher={launcher}", start=("bin/train",)) == ["1", "2"]


@pytest.mark.parametrize(
    "override",
    [
        "hydra.sweeper.params={x: 'choice(1,2)'}",
        "hydra.sweeper.params.x='1,2'",
        "+hydra.sweeper.params.x='range(1,3)'",
        "++hydra.sweeper.params={nested.x: 1, x: '1,2'}",
    ],
)
def test_the_search_space_may_be_typed_on_the_command_line(run, override) -> None:
    files = {"app.py": app("return see(cfg.x)"), "config.yaml": CONFIG + "nested: {x: 0}"}
    assert run(files, override) == ["1", "2"]


def test_a_task_may_raise_what_is_no_exception(run, tmp_path) -> None:
    body = """
    import asyncio
    if cfg.x == 1:
        raise asyncio.CancelledError  # a BaseException, as a panic of Rust code is
    return see(cfg.x)
"""
    files = {"app.py": app(body), "config.yaml": CONFIG}
    run(files, "x=interval(0,1)", "hydra.sweeper.n_trials=2")
    failure = (tmp_path / "multirun/s/0/failure.txt").read_text()
    assert failure.startswith("CancelledError\n")
    assert len(list((tmp_path / "multirun/s").glob("[1-9]/seen"))) == 2


@LAUNCHERS
@pytest.mark.parametrize("start", [("app.py",), ("-m", "pkg.app")])
def test_a_task_may_give_what_its_script_defines_to_processes(run, launcher, start) -> None:
    helper = """
class Point:
    def __init__(self, x):
        self.x = x

def double(point):
    return Point(2 * point.x)
"""
    body = """
    import multiprocessing, pickle
    point = pickle.loads(pickle.dumps(Point(cfg.x)))
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            [point] = pool.map(double, [point])
    return see(type(point) is Point, point.x)
"""
    folder = "pkg/" if start[0] == "-m" else ""
    main = app(body).replace("\n@hydra", f"{helper}\n@hydra")
    files = {f"{folder}app.py": main, f"{folder}config.yaml": CONFIG, f"{folder}__init__.py": ""}
    assert run(files, "x=1,2", f"hydra/launcher={launcher}", start=start) == ["True 4", "True 8"]


@LAUNCHERS
def test_a_config_may_name_what_the_script_defines(run, launcher, tmp_path) -> None:
    helper = """
import optuna

class Net:
    def __init__(self, k):
        self.k = k

class Sampler(optuna.samplers.RandomSampler):
    pass

def add_width(cfg, trial):
    trial.suggest_int("+width", 5, 5)

def conclude(cfg, trial):
    return {"test/score": cfg.x}
"""
    body = "return see(cfg.x, type(hydra.utils.instantiate(cfg.net)).__name__, cfg.width)"
    files = {
        "app.py": app(body).replace("\n@hydra", f"{helper}\n@hydra"),
        "config.yaml": CONFIG + "net: {_target_: __main__.Net, k: '${x}'}",
    }
    found = run(
        files, "x=int(interval(1,1))", "hydra.sweeper.n_trials=1", f"hydra/launcher={launcher}",
        "hydra.sweeper.sampler._target_=__main__.Sampler",
        "hydra.sweeper.custom_search_space=__main__.add_width",
        "hydra.sweeper.conclude=__main__.conclude",
    )  # fmt: skip
    assert found == ["1 Net 5"]
    assert "test/score" in (tmp_path / "multirun/s/optimization_results.yaml").read_text()


def test_a_task_that_cannot_be_sent_to_a_process_is_refused_in_one_line(tmp_path, python) -> None:
    body = "with lock:\n        return cfg.x"
    lock = "\nimport threading\nlock = threading.Lock()\n\n@hydra"
    (tmp_path / "app.py").write_text(app(body).replace("\n@hydra", lock))
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [python, "app.py", *SWEEPER, "x=1,2"]
    done = subprocess.run(
        [*command, "hydra/launcher=local"], cwd=tmp_path, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("__main__.main: this task uses what cannot be sent to another")
    assert "create it in the task, or type hydra/launcher=basic\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "multirun").exists()
    subprocess.run(
        [*command, "hydra/launcher=basic"], cwd=tmp_path, capture_output=True, timeout=120,
        check=True,
    )  # fmt: skip


def test_ctrl_c_before_the_first_trial_ends_the_command_without_a_traceback(
    tmp_path, python
) -> None:
    (tmp_path / "app.py").write_text(app("return cfg.x"))
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "space.py").write_text("raise KeyboardInterrupt")
    command = [python, "app.py", *SWEEPER, "x=1,2", "hydra.sweeper.custom_search_space=space.add"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")
