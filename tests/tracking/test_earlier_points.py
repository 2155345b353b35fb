"""The values that the earlier attempts at a run have logged."""

import math
import sys
from types import SimpleNamespace

from sweeper.tracking.earlier_points import EarlierPoints


class Client:
    """A client of a server that has two values of one metric, and counts the requests."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def get_metric_history(self, run_id: str, name: str) -> list[SimpleNamespace]:
        self.asked.append((run_id, name))
        return [point("acc", 1, 0.25), point("acc", 2, float("nan"))] if name == "acc" else []


def point(key: str, step: int, value: float) -> SimpleNamespace:
    return SimpleNamespace(key=key, step=step, value=value)


def test_only_the_same_value_at_the_same_step_was_logged() -> None:
    earlier = EarlierPoints(Client(), "run")
    assert point("acc", 1, 0.25) in earlier
    assert point("acc", 2, float("nan")) in earlier
    others = [("acc", 1, 0.5), ("acc", 2, 0.25), ("acc", 3, 0.25), ("loss", 1, 0.25)]
    assert not any(point(*other) in earlier for other in others)


def test_each_metric_costs_one_request_and_system_metrics_none() -> None:
    client = Client()
    earlier = EarlierPoints(client, "run")
    keys = ("system/disk", "loss", "acc")
    later = [point(key, step, 0.5) for step in (3, 4) for key in keys]
    assert not any(each in earlier for each in later)
    assert point("acc", 1, 0.25) in earlier
    assert client.asked == [("run", "loss"), ("run", "acc")]


def test_a_value_that_mlflow_stores_in_another_way_was_logged() -> None:
    class Stored(Client):
        def get_metric_history(self, run_id: str, name: str) -> list[SimpleNamespace]:
            return [point(name, 1, sys.float_info.max), point(name, 2, -sys.float_info.max)]

    earlier = EarlierPoints(Stored(), "run")
    assert point("acc", 1, math.inf) in earlier
    assert point("acc", 2, -math.inf) in earlier
    assert point("acc", 1, -math.inf) not in earlier
