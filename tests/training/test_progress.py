"""The table of the epochs, and how often the line below it computes the measures that it shows."""

from types import SimpleNamespace

import pytest

from sweeper.objectives import MEASURES
from sweeper.training import progress
from sweeper.training.progress import WIDTH, EpochTable, LiveProgress, progress_text
from sweeper.training.state import RunState


class Clock:
    """A clock that advances only when `now` is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class SlowMeter:
    """A meter that takes some seconds to compute its measures."""

    count = 0

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def compute(self) -> dict[str, float]:
        self.clock.now += self.seconds
        self.calls += 1
        return {"loss": 0.5}


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=made))
    return made


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 240), (1.0, 3)])
def test_computing_slow_measures_takes_a_twentieth_of_the_time(clock, seconds, calls) -> None:
    meter = SlowMeter(clock, seconds)
    display = LiveProgress(lambda text: None)
    state = RunState(1, 1000, "val/loss", "minimize", meter=meter)
    display.on_fit_start(state)
    display.on_epoch_start(state)
    while clock.now < 160:
        display.on_batch_end(state)
        clock.now += 0.125
    assert meter.calls == calls


def metrics_of(label_type, value=0.1234):
    names = [f"{s}/{m}" for s in ("train", "val") for m in ("loss", *MEASURES[label_type])]
    return dict.fromkeys(names, value) | {"lr": 1e-3, "images_per_second": 123456.0}


@pytest.mark.parametrize("label_type", MEASURES)
@pytest.mark.parametrize("epochs", [1, 100, 1000])
def test_the_table_fits_a_terminal(label_type, epochs) -> None:
    metrics = metrics_of(label_type)
    state = RunState(epochs, 1, "val/loss", "minimize")
    state.record(metrics)
    table = EpochTable(epochs, metrics)
    row = table.row(state, 3_599.0)
    assert len(table.head) == len(row.removesuffix(" *"))
    assert len(row) <= WIDTH
    assert row.split()[0] == f"1/{epochs}"
    assert row.endswith("59:59 *")


def words(line: str) -> str:
    return " ".join(line.split())


def test_an_epoch_is_a_line_with_the_time_left(clock, caplog) -> None:
    caplog.set_level("INFO")
    display = progress.progress_lines(None)
    state = RunState(3, 1, "val/loss", "minimize")
    display.on_fit_start(state)
    for seconds, loss in ((10, 0.5), (20, 0.7)):
        clock.now += seconds
        state.record(metrics_of("multiclass") | {"val/loss": loss})
        display.on_epoch_end(state)
    head, first, second = caplog.messages
    assert words(head) == "epoch train loss accuracy val loss accuracy lr images/s left"
    assert words(first) == "1/3 0.1234 0.1234 0.5000 0.1234 1.0e-03 123,456 0:20 *"
    assert words(second) == "2/3 0.1234 0.1234 0.7000 0.1234 1.0e-03 123,456 0:15"


def test_the_live_line_has_the_epoch_and_the_time_left() -> None:
    state = RunState(4, 10, "val/loss", "minimize", epoch=1, batch=10)
    assert progress_text(state, 61.0) == "epoch 2/4 ######------ 1:01 left"
