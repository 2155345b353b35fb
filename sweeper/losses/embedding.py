"""Adapters of losses that learn an embedding, in which images of one class are close together.

Each image of a batch is an anchor. Its positive is another image of its class, and its negative
an image of another class, both from the same batch. An image is classified by the nearest class
mean of the training embeddings (Mensink et al., "Distance-Based Image Classification", 2013;
Snell et al., "Prototypical Networks", 2017).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType

Triplets = tuple[Tensor, Tensor, Tensor]


def mined_triplets(points: Tensor, labels: Tensor) -> Triplets:
    """Return the indices of anchors, positives and negatives, (T,) int64 each.

    points: (N, D) float; labels: (N,) int64. The positive is the next image of the anchor's
    class, which is a random one in a shuffled batch. The negative is the nearest image of another
    class that is farther from the anchor than the positive. If there is none, the negative
    is the farthest image of another class, because the nearest ones can make an embedding collapse
    (Schroff et al., "FaceNet", 2015, section 3.2). An image without a positive or a negative in the
    batch is no anchor.
    """
    distances = _distances(points.detach(), points.detach())
    same_class = labels[:, None] == labels
    positives = _next_of_class(labels)
    farther = ~same_class & (distances > distances.gather(1, positives[:, None]))
    nearest = distances.masked_fill(~farther, torch.inf).argmin(dim=1)
    farthest = distances.masked_fill(same_class, -torch.inf).argmax(dim=1)
    negatives = torch.where(farther.any(dim=1), nearest, farthest)
    anchors = is_anchor(labels).nonzero().squeeze(1)
    return anchors, positives[anchors], negatives[anchors]


def _distances(points: Tensor, others: Tensor) -> Tensor:
    """Return the Euclidean distances between points (N, D) and others (K, D), (N, K).

    They are not computed with a matrix product: a GPU would round the points to 10 bits for it.
    """
    return torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist")


@contextmanager
def _full_precision() -> Iterator[None]:
    """Let a GPU keep the factors of matrix products as they are; in training it rounds them."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def is_anchor(labels: Tensor) -> Tensor:
    """Return a (N,) bool mask of the images that have a positive and a negative in the batch."""
    class_sizes = (labels[:, None] == labels).sum(dim=1)
    return (class_sizes > 1) & (class_sizes < len(labels))


def _next_of_class(labels: Tensor) -> Tensor:
    """Return the index of the next image of the same class for each image, (N,) int64.

    The first image of a class follows its last.
    """
    order = labels.argsort(stable=True)
    ordered = labels[order]
    is_last = torch.ones_like(labels, dtype=torch.bool)
    is_last[:-1] = ordered[1:] != ordered[:-1]
    firsts = torch.searchsorted(ordered, ordered)
    successors = torch.arange(len(labels), device=labels.device) + 1
    successors = torch.where(is_last, firsts, successors)
    result = torch.empty_like(order)
    result[order] = order[successors]
    return result


class Embedding(Adapter):
    """The base class for outputs that are points (N, D) float; subclasses define `triplet_loss`.

    The loss of a batch without triplets is 0, and its weight in the mean of an epoch is 0.
    """

    is_per_image: ClassVar[bool] = False
    means: Tensor
    """The mean point of each class, (K, D) float32."""
    seen: Tensor
    """(K,) bool: the classes that have training images."""

    def __init__(
        self,
        criterion: nn.Module,
        num_classes: int,
        label_type: LabelType = "multiclass",
        embedding_size: PositiveInt = 64,
    ) -> None:
        super().__init__(criterion, num_classes, label_type)
        self.embedding_size = embedding_size
        self.register_buffer("means", torch.zeros(num_classes, embedding_size))
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.bool))

    @property
    def needs_training_outputs(self) -> bool:
        return True

    @property
    def n_outputs(self) -> int:
        return self.embedding_size

    @property
    def min_batch_size(self) -> int:
        return 3  # an anchor, its positive and its negative

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        points = self.points(outputs)
        triplets = mined_triplets(points, labels)
        if not len(triplets[0]):
            return points.sum() * 0.0
        anchors, positives, negatives = (points[indices] for indices in triplets)
        loss = self.triplet_loss(anchors, positives, negatives)
        return loss.mean() if loss.ndim else loss

    def triplet_loss(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        """Return the criterion's loss of triplets of points, (T, D) float32 each."""
        raise NotImplementedError

    def points(self, outputs: Tensor) -> Tensor:
        """Return the points that are compared by Euclidean distance, (N, D) float32."""
        return outputs.float()

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        return is_anchor(labels).sum()

    @torch.no_grad()
    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Compute the mean point of every class."""
        sums = torch.zeros_like(self.means)
        counts = torch.zeros(self.num_classes, device=self.means.device)
        for batch, labels in outputs:
            # A product with a one-hot matrix adds in the same order every time.
            one_hot = functional.one_hot(labels, self.num_classes).float()
            points = self.points(batch)
            with _full_precision():
                sums += one_hot.T @ points
            counts += one_hot.sum(dim=0)
        self.means.copy_(self.points(sums / counts.clamp_min(1.0)[:, None]))
        self.seen.copy_(counts > 0)

    def predict(self, outputs: Tensor) -> Tensor:
        return self._negative_distances(outputs).argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the softmax of the negative squared distances to the means, (N, K) float32."""
        return self._negative_distances(outputs).softmax(dim=1)

    def _negative_distances(self, outputs: Tensor) -> Tensor:
        """Return negative squared distances to the class means, (N, K) float32."""
        distances = _distances(self.points(outputs), self.means)
        return -distances.square().masked_fill(~self.seen, torch.inf)


class Triplet(Embedding):
    """The adapter of the triplet margin loss, which takes the triplets as they are."""

    def triplet_loss(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        loss: Tensor = self.criterion(anchors, positives, negatives)
        return loss


class Ranking(Embedding):
    """The adapter of the margin ranking loss: the negative must be farther than the positive."""

    def triplet_loss(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        negative_distance = functional.pairwise_distance(anchors, negatives)
        positive_distance = functional.pairwise_distance(anchors, positives)
        loss: Tensor = self.criterion(
            negative_distance, positive_distance, torch.ones_like(negative_distance)
        )
        return loss


class PairDistance(Embedding):
    """The adapter of the hinge embedding loss, which takes the distances of pairs.

    The label of a pair with the positive is 1, that of a pair with the negative -1.
    """

    def triplet_loss(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        positive_distance = functional.pairwise_distance(anchors, positives)
        negative_distance = functional.pairwise_distance(anchors, negatives)
        signs = torch.cat([torch.ones_like(positive_distance), -torch.ones_like(negative_distance)])
        loss: Tensor = self.criterion(torch.cat([positive_distance, negative_distance]), signs)
        return loss


class PairCosine(Embedding):
    """The adapter of the cosine embedding loss, to which only the direction of a point matters."""

    def points(self, outputs: Tensor) -> Tensor:
        return functional.normalize(outputs.float())

    def triplet_loss(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        ones = torch.ones(len(anchors), device=anchors.device)
        loss: Tensor = self.criterion(
            torch.cat([anchors, anchors]),
            torch.cat([positives, negatives]),
            torch.cat([ones, -ones]),
        )
        return loss
