"""The user's own callbacks: how they end a run, and the errors of invalid ones."""

import re
import sys

import pytest

from sweeper.errors import ConfigError, TrainingError
from sweeper.training.checkpoint_store import SaveCheckpoints
from sweeper.training.state import RunState

SOURCE = """
from pathlib import Path

from sweeper.training.callback import Callback
from sweeper.training.checkpoint import read_checkpoint


class Quitter(Callback):
    def __init__(self, accuracy: float) -> None:
        self.accuracy = accuracy

    def on_fit_start(self, state) -> None:
        state.stop("no use")


class Ender(Callback):
    def __init__(self, hook: str) -> None:
        setattr(self, hook, self._end)

    def _end(self, state) -> None:
        if (state.epoch, state.batch) in ((2, 0), (1, 1)):
            state.stop("enough")


class Diary(Callback):
    calls = []

    def __init__(self, interrupts_at: int = 0) -> None:
        self.interrupts_at = interrupts_at

    def on_fit_start(self, state) -> None:
        self.calls.append("fit start")

    def on_epoch_start(self, state) -> None:
        self.calls.append(f"epoch start {state.epoch}")

    def on_batch_end(self, state) -> None:
        assert {"loss", "accuracy"} <= state.meter.compute().keys()
        self.calls.append(f"batch end {state.batch}")
        if state.epoch == 1 and state.batch == self.interrupts_at:
            state.interrupt()

    def on_epoch_end(self, state) -> None:
        assert len(state.history) == state.epoch
        last = Path("run/checkpoints/last.pt")
        saved = len(read_checkpoint(last)["state"]["history"]) if last.exists() else 0
        self.calls.append(f"epoch end {state.epoch}, saved {saved}")

    def on_fit_end(self, state) -> None:
        self.calls.append("fit end")


def nothing() -> None:
    pass
"""


@pytest.fixture(autouse=True)
def _own_callbacks(tmp_path, monkeypatch) -> None:
    (tmp_path / "own_callbacks.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_callbacks", raising=False)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+callbacks.mine=own.Quitter"], r"^callbacks\.mine=own\.Quitter: .* type \+callbacks"),
        (["+callbacks.mine=null"], r"^callbacks\.mine=None: a callback is a class"),
        (["+callbacks._target_=own_callbacks.Quitter"], r"^callbacks\._target_=own_callbacks"),
        (["+callbacks.mine.accuracy=1"], r"^callbacks\.mine=None has no _target_"),
        (["+callbacks.mine._target_=own_callbacks.Quiter"], r"^callbacks\.mine=own_.*Quiter"),
        (["+callbacks.mine._target_=own_callbacks.Quitter"], r"missing .*'accuracy'"),
        (["+callbacks.search._target_=own_callbacks.Quitter"], r"missing .*'accuracy'"),
        (
            ["+callbacks.mine={_target_: own_callbacks.Quitter, acuracy: 1}"],
            r"^callbacks\.mine has no key acuracy; did you mean accuracy\?",
        ),
        (
            ["+callbacks.mine={_target_: own_callbacks.Quitter, accuracy: abc}"],
            r"^callbacks\.mine\.accuracy=abc: expected",
        ),
        (["+callbacks.mine._target_=torch.nn.ReLU"], r"ReLU is not a subclass of .*Callback"),
        (["+callbacks.mine._target_=own_callbacks.nothing"], r"returns a NoneType, which is not a"),
    ],
)
def test_an_invalid_callback_is_refused_in_one_line(built, overrides, message, refuses) -> None:
    with refuses(ConfigError, message):
        built(*overrides)


def test_sweeps_beside_the_callbacks_are_no_callback(built) -> None:
    built("+callbacks={search: {mine.alpha: 'interval(0, 1)'}}")


TWO_EPOCHS = ("trainer.epochs=2", "trainer.train_limit=128", "trainer.val_limit=50",
              "data.batch_size=64", "model=mlp")  # fmt: skip
FIRST_EPOCH = ["fit start", "epoch start 0", "batch end 1", "batch end 2", "epoch end 1, saved 0"]


def test_the_hooks_of_a_run_are_called_at_the_points_that_the_page_names(
    ran, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran(*TWO_EPOCHS, "+callbacks.mine._target_=own_callbacks.Diary")
    second = ["epoch start 1", "batch end 1", "batch end 2", "epoch end 2, saved 1"]
    assert sys.modules["own_callbacks"].Diary.calls == [*FIRST_EPOCH, *second, "fit end"]


def test_the_hooks_are_called_in_an_interrupted_and_in_a_resumed_run(
    ran, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    diary = "+callbacks.mine={_target_: own_callbacks.Diary, interrupts_at: 1}"
    with pytest.raises(KeyboardInterrupt):
        ran(*TWO_EPOCHS, diary)
    calls = sys.modules["own_callbacks"].Diary.calls
    assert calls == [*FIRST_EPOCH, "epoch start 1", "batch end 1", "fit end"]
    calls.clear()
    ran(*TWO_EPOCHS, diary, "resume=run/checkpoints/last.pt", folder="rest")
    assert calls == ["fit start", "epoch start 1", "batch end 2", "epoch end 2, saved 1", "fit end"]


def test_a_run_that_is_stopped_before_its_first_epoch_fails_with_the_reason(ran, tracked) -> None:
    mine = "+callbacks.mine={_target_: own_callbacks.Quitter, accuracy: 1}"
    with pytest.raises(TrainingError, match=r"^the run ended before its first epoch: no use$"):
        ran(mine)
    start = next(record[1] for record in tracked if record[0] == "start")
    assert start.params["callbacks.mine.accuracy"] == "1"


def test_a_failed_run_does_not_track_the_checkpoint_of_another(ran, tracked) -> None:
    ran("trainer.epochs=1", "trainer.train_limit=100")
    first = [record for record in tracked if record[:1] == ("artifact",)]
    assert ("artifact", "best.pt", "checkpoints") in first
    tracked.clear()
    with pytest.raises(TrainingError, match="became"):
        ran("optimizer=sgd", "optimizer.lr=1e30")
    assert ("artifact", "best.pt", "checkpoints") not in tracked


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_batch_end"])
def test_a_resumed_run_ends_where_a_callback_has_ended_it(
    ran, tmp_path, caplog, monkeypatch, hook
) -> None:
    small = ["trainer.epochs=4", "trainer.train_limit=200", "trainer.val_limit=50"]
    monkeypatch.syspath_prepend(tmp_path)
    mine = [*small, f"+callbacks.mine={{_target_: own_callbacks.Ender, hook: {hook}}}"]
    with monkeypatch.context() as patch:
        patch.setattr("sweeper.run.run.Run._evaluate", interrupted)
        if hook == "on_batch_end":
            patch.setattr(SaveCheckpoints, "on_batch_end", interrupt_later)
        with pytest.raises(KeyboardInterrupt):
            ran(*mine, folder="part")
    resume = f"resume={tmp_path}/part/checkpoints/last.pt"
    caplog.set_level("INFO")
    ran(*mine, resume, "figures=false", folder="rest")
    assert "best epoch    2 of 2\nstopped       enough\n" in caplog.text
    caplog.clear()
    ran(*small, resume, folder="more")
    assert re.search(r"best epoch    \d of 4\n", caplog.text)


def interrupted(run) -> None:
    raise KeyboardInterrupt


def interrupt_later(callback: SaveCheckpoints, state: RunState) -> None:
    if state.stop_reason and state.batch > 1:
        state.interrupt()
