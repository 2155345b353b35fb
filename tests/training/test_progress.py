"""The progress bar: how often it computes the measures that it shows."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from sweeper.training import progress
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


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 240), (1.0, 3)])
def test_computing_slow_measures_takes_a_twentieth_of_the_time(monkeypatch, seconds, calls) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=clock))
    meter = SlowMeter(clock, seconds)
    display = progress.LiveProgress(Console(file=io.StringIO()))
    state = RunState(1, 1000, "val/loss", "minimize", meter=meter)
    display.on_epoch_start(state)
    while clock.now < 160:
        display.on_batch_end(state)
        clock.now += 0.125
    assert meter.calls == calls
