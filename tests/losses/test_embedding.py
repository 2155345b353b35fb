"""Mined triplets and embedding losses, compared with values computed by hand."""

import math

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sweeper.api.untouched import untouched_torch
from sweeper.losses import PairCosine, PairDistance, Ranking, Triplet
from sweeper.losses.embedding import is_anchor, mined_triplets

# Points on a line: class 0 at 0 and 1, class 1 at 3 and 10.
POINTS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [10.0, 0.0]])
LABELS = torch.tensor([0, 0, 1, 1])


def test_the_positive_is_the_next_of_the_class_and_the_negative_the_nearest_that_is_farther() -> (
    None
):
    anchors, positives, negatives = mined_triplets(POINTS, LABELS)
    assert anchors.tolist() == [0, 1, 2, 3]
    assert positives.tolist() == [1, 0, 3, 2]
    # The positive of 3 is at distance 7. No negative is farther, so it is the farthest, 0.
    assert negatives.tolist() == [2, 2, 0, 1]


def test_the_last_of_a_class_is_followed_by_its_first() -> None:
    labels = torch.tensor([5, 2, 5, 2, 5])
    _, positives, _ = mined_triplets(torch.arange(5.0)[:, None], labels)
    assert positives.tolist() == [2, 3, 4, 1, 0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 0, 1, 1], [True] * 4),
        ([0, 0, 1], [True, True, False]),  # no positive for the last
        ([0, 0, 0], [False] * 3),  # no negative
        ([0, 1], [False] * 2),
        ([0], [False]),
    ],
)
def test_an_anchor_needs_a_positive_and_a_negative(labels, expected) -> None:
    labels = torch.tensor(labels)
    assert is_anchor(labels).tolist() == expected
    assert mined_triplets(torch.rand(len(labels), 2), labels)[0].tolist() == [
        index for index, anchor in enumerate(expected) if anchor
    ]


# Distances to the positive are 1, 1, 7, 7; to the negative 3, 2, 3, 9.
@pytest.mark.parametrize(
    ("adapter", "criterion", "loss"),
    [
        (Triplet, nn.TripletMarginLoss(margin=1.0), (0 + 0 + 5 + 0) / 4),
        (Triplet, nn.TripletMarginLoss(margin=3.0, reduction="sum"), 1 + 2 + 7 + 1),
        (Ranking, nn.MarginRankingLoss(margin=1.0), (0 + 0 + 5 + 0) / 4),
        (PairDistance, nn.HingeEmbeddingLoss(margin=4.0), (1 + 1 + 7 + 7 + 1 + 2 + 1 + 0) / 8),
    ],
)
def test_a_loss_compares_the_mined_distances(adapter, criterion, loss) -> None:
    adapter = adapter(criterion, 2, embedding_size=2)
    assert adapter(POINTS, LABELS).item() == pytest.approx(loss, abs=1e-4)


def test_the_cosine_loss_depends_on_angles_only() -> None:
    # Class 0 at 0 and 90 degrees, class 1 at 180 and 180: cosines 0, 0, 1, 1 to the positives.
    # The negatives of 90 are as far as its positive, and not farther: the farthest is at 180.
    points = torch.tensor([[5.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [-3.0, 0.0]])
    adapter = PairCosine(nn.CosineEmbeddingLoss(), 2, embedding_size=2)
    # 1 - cos for pairs of one class; max(0, cos) for the others: cos 180 = -1, cos 90 = 0
    assert adapter(points, LABELS).item() == pytest.approx((1 + 1 + 0 + 0 + 0) / 8, abs=1e-6)


@pytest.mark.parametrize("adapter", [Triplet, Ranking, PairDistance, PairCosine])
def test_a_batch_without_triplets_has_a_loss_and_gradients_of_zero(adapter) -> None:
    criterion = {
        Triplet: nn.TripletMarginLoss(),
        Ranking: nn.MarginRankingLoss(),
        PairDistance: nn.HingeEmbeddingLoss(),
        PairCosine: nn.CosineEmbeddingLoss(),
    }[adapter]
    adapter = adapter(criterion, 2, embedding_size=2)
    outputs = torch.rand(3, 2, requires_grad=True)
    labels = torch.tensor([1, 1, 1])
    loss = adapter(outputs, labels)
    loss.backward()
    assert (loss.item(), adapter.loss_weight(labels)) == (0.0, 0)
    assert outputs.grad.tolist() == [[0.0, 0.0]] * 3


def test_a_class_is_the_nearest_mean_of_the_training_embeddings() -> None:
    adapter = Triplet(nn.TripletMarginLoss(), 3, embedding_size=2)
    adapter.learn([(POINTS[:3], LABELS[:3]), (POINTS[3:], LABELS[3:])])
    assert adapter.means.tolist() == [[0.5, 0.0], [6.5, 0.0], [0.0, 0.0]]
    assert adapter.predict(torch.tensor([[3.4, 0.0], [3.6, 0.0]])).tolist() == [0, 1]
    # squared distances 2.9^2 = 8.41 and 3.1^2 = 9.61; a class without images has no probability
    expected = 1 / (1 + math.exp(8.41 - 9.61))
    probabilities = adapter.probabilities(torch.tensor([[3.4, 0.0]]))
    assert probabilities.tolist() == [[pytest.approx(expected), pytest.approx(1 - expected), 0.0]]


def test_the_loss_of_an_epoch_is_the_mean_over_its_anchors() -> None:
    adapter = Triplet(nn.TripletMarginLoss(), 2, embedding_size=2)
    meter = adapter.meter(torch.device("cpu"))
    for outputs, labels in ((POINTS, LABELS), (POINTS[:2], LABELS[:2])):  # the second has no anchor
        meter.update(outputs, labels, adapter(outputs, labels))
    assert meter.compute()["loss"] == pytest.approx(5 / 4, abs=1e-4)


def test_triplets_do_not_depend_on_the_distance_from_the_origin() -> None:
    # A matrix product would lose such small differences between large numbers.
    generator = torch.Generator().manual_seed(0)
    points = torch.randint(0, 64, (40, 2), generator=generator) / 64
    near, far = (mined_triplets(points + offset, torch.arange(40) % 4) for offset in (0, 1000))
    assert all(torch.equal(a, b) for a, b in zip(near, far, strict=True))


def test_the_nearest_class_is_found_far_from_the_origin() -> None:
    points = torch.stack([1000 + torch.arange(30) / 64, torch.zeros(30)], dim=1)
    adapter = Triplet(nn.TripletMarginLoss(), 30, embedding_size=2)
    adapter.learn([(points, torch.arange(30))])
    assert adapter.predict(points).tolist() == list(range(30))


class Products(TorchFunctionMode):
    """Notes the precision that torch is set to at each matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.precisions: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "matmul" in getattr(function, "__name__", ""):
            self.precisions.append(torch.get_float32_matmul_precision())
        return function(*args, **(kwargs or {}))


def test_class_means_have_the_full_precision_whatever_training_has() -> None:
    adapter = Triplet(nn.TripletMarginLoss(), 2, embedding_size=2)
    with untouched_torch():
        torch.set_float32_matmul_precision("high")
        with Products() as products:
            adapter.learn([(POINTS, LABELS)])
        assert products.precisions == ["highest"]
        assert torch.get_float32_matmul_precision() == "high"
