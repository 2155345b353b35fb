"""Locks, on the file itself and on a file beside it, as on a system without `flock`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sweeper import locks
from sweeper.locks import claim, locked, locked_beside
from sweeper.tracking.outbox import Outbox, abandoned_outboxes

START = {"uri": "http://127.0.0.1:1", "experiment": "digits"}


@pytest.fixture(params=[False, True], ids=["on the file", "beside it"])
def beside(request, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(locks, "ARE_BESIDE", request.param)
    return bool(request.param)


def test_a_claim_keeps_others_out_until_it_is_given_up(tmp_path: Path, beside: bool) -> None:
    path = tmp_path / "records"
    with path.open("w") as first, path.open() as second:
        release = claim(path, first.fileno())
        assert release is not None
        assert claim(path, second.fileno()) is None
        release()
        first.close()
        again = claim(path, second.fileno())
        assert again is not None
        again()


def test_a_folder_and_a_new_file_can_be_locked(tmp_path: Path, beside: bool) -> None:
    for path in (tmp_path, tmp_path / "new"):
        with locked(path), pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        with locked(path, wait=False):
            continue
    assert (tmp_path / "new").is_file()


def test_the_lock_beside_a_file_that_is_not_there_is_held_by_one(
    tmp_path: Path, beside: bool
) -> None:
    holders: list[int] = []
    counts: list[int] = []

    def hold(number: int) -> None:
        with locked_beside(tmp_path / "new"):
            holders.append(number)
            assert (tmp_path / "new.lock").exists()  # lets another thread run
            counts.append(len(holders))
            holders.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, range(n := 20 if beside else 200)))
    assert counts == [1] * n
    assert beside or list(tmp_path.iterdir()) == []


def test_an_outbox_has_one_owner_and_the_next_one_takes_it_over(
    tmp_path: Path, beside: bool
) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("start", START)
    assert abandoned_outboxes(tmp_path / "outbox") == []
    outbox.release()
    [abandoned] = abandoned_outboxes(tmp_path / "outbox")
    taken = Outbox.take_over(abandoned.folder)
    assert taken is not None
    assert [record.op for record in taken.pending()] == ["start", "finish"]
    taken.remove()
    assert not taken.folder.exists()


def test_an_outbox_without_a_start_is_set_aside(tmp_path: Path, beside: bool) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append("metrics", {"metrics": {}, "step": 0})
    outbox.release()
    assert abandoned_outboxes(tmp_path / "outbox") == []
    assert (tmp_path / "outbox/damaged" / outbox.folder.name).is_dir()
