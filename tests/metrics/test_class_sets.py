"""Mean average precision and F1, compared with values computed by hand and scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score
from torch import nn

from sweeper.losses import Logits
from sweeper.metrics.class_sets import average_precision
from sweeper.metrics.measures import measure_of

CPU = torch.device("cpu")


def random_case(n: int = 60, classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return outputs (n, classes), many of them equal, and labels."""
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randint(-3, 4, (n, classes), generator=generator).float()
    return outputs, (torch.rand(n, classes, generator=generator) < 0.3).long()


def measure_after(*batches: tuple[torch.Tensor, torch.Tensor]):
    classes = batches[0][0].shape[1]
    measure = measure_of(Logits(nn.BCEWithLogitsLoss(), classes, "multilabel"), CPU)
    for outputs, labels in batches:
        measure.update(outputs, labels)
    return measure


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], (1 / 1 + 2 / 3) / 2),
        ([0.6, 0.7, 0.8, 0.9], [1, 0, 1, 0], (1 / 2 + 2 / 4) / 2),
        ([0.9, 0.5, 0.5, 0.1], [0, 1, 0, 1], (1 / 3 + 2 / 4) / 2),  # the tie counts as a whole
        ([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0], 1 / 4),
        ([0.9, 0.1], [1, 1], 1.0),
    ],
)
def test_average_precision_of_a_class(scores, labels, expected) -> None:
    scores, labels = torch.tensor(scores)[:, None], torch.tensor(labels)[:, None]
    assert average_precision(scores, labels).tolist() == [pytest.approx(expected)]


def test_average_precision_is_scikit_learns_ties_included() -> None:
    outputs, labels = random_case()
    expected = [average_precision_score(labels[:, k], outputs[:, k]) for k in range(5)]
    assert average_precision(outputs, labels).tolist() == pytest.approx(expected, abs=1e-12)


def test_a_class_without_images_has_no_average_precision_and_does_not_count() -> None:
    outputs, labels = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[0, 0], [1, 0]])
    assert average_precision(outputs, labels).isnan().tolist() == [False, True]
    # The first class is second in its ranking, and predicted in both of the two images.
    expected = {"mean_average_precision": 0.5, "f1": pytest.approx(2 / 3)}
    assert measure_after((outputs, labels)).compute() == expected


def test_f1_is_the_mean_over_classes() -> None:
    outputs = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])
    labels = torch.tensor([[1, 0], [1, 1], [0, 0]])
    # 2 * 1 / (2 * 1 + 1 + 1) of the first class, and 1 of the second
    assert measure_after((outputs, labels)).compute()["f1"] == pytest.approx((0.5 + 1) / 2)


def test_both_are_scikit_learns_whatever_the_batches() -> None:
    outputs, labels = random_case()
    batches = [(outputs[part], labels[part]) for part in torch.arange(60).split(7)]
    f1 = f1_score(labels, outputs > 0, average="macro")
    precision = average_precision_score(labels, outputs, average="macro")
    expected = {"mean_average_precision": pytest.approx(precision), "f1": pytest.approx(f1)}
    assert (
        measure_after(*batches).compute() == measure_after((outputs, labels)).compute() == expected
    )


def test_both_are_zero_without_any_positive_label() -> None:
    empty = measure_after((torch.ones(3, 2), torch.zeros(3, 2, dtype=torch.int64)))
    assert empty.compute() == {"mean_average_precision": 0.0, "f1": 0.0}


def test_outputs_that_are_nan_give_finite_metrics() -> None:
    outputs, labels = torch.full((3, 2), torch.nan), torch.ones(3, 2, dtype=torch.int64)
    assert np.isfinite(list(measure_after((outputs, labels)).compute().values())).all()


def test_an_interrupted_pass_continues_bit_for_bit(tmp_path) -> None:
    outputs, labels = random_case()
    first, second = (outputs[:20], labels[:20]), (outputs[20:], labels[20:])
    torch.save(measure_after(first).state_dict(), tmp_path / "state.pt")
    resumed = measure_after((outputs[:1], labels[:1]))
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed.update(*second)
    assert resumed.compute() == measure_after(first, second).compute()
