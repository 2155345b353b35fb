"""Losses that learn an embedding, in which images of one class lie close together.

Each image of a batch is an anchor. It is paired with a positive, another image of its class, and
a negative, an image of another class, both mined from the same batch; a class is then read off
an embedding as the nearest mean of the training embeddings (Mensink et al., "Distance-Based
Image Classification", 2013; Snell et al., "Prototypical Networks", 2017).
"""

from collections.abc import Iterable

import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType

Triplets = tuple[Tensor, Tensor, Tensor]


def mined_triplets(points: Tensor, labels: Tensor) -> Triplets:
    """Return the indices of anchors, positives and negatives, (T,) int64 each.

    points: (N, D); labels: (N,). The positive is the next image of the class, which is a random
    one in a shuffled batch. The negative is the nearest of those farther from the anchor than
    the positive, or where there are none the farthest, since the hardest negatives of all make
    an embedding collapse (Schroff et al., "FaceNet", 2015, section 3.2). An image whose class
    or whose opposite is not in the batch a second time is no anchor.
    """
    distances = torch.cdist(points.detach(), points.detach())
    same = labels[:, None] == labels
    positives = _next_of_class(labels)
    beyond = ~same & (distances > distances.gather(1, positives[:, None]))
    nearest = distances.masked_fill(~beyond, torch.inf).argmin(dim=1)
    farthest = distances.masked_fill(same, -torch.inf).argmax(dim=1)
    negatives = torch.where(beyond.any(dim=1), nearest, farthest)
    anchors = is_anchor(labels).nonzero().squeeze(1)
    return anchors, positives[anchors], negatives[anchors]


def is_anchor(labels: Tensor) -> Tensor:
    """Return which images of a batch have a positive and a negative in it: (N,) bool."""
    same = (labels[:, None] == labels).sum(dim=1)
    return (same > 1) & (same < len(labels))


def _next_of_class(labels: Tensor) -> Tensor:
    """Return for each image the next one of its class, the first after the last: (N,) int64."""
    order = labels.argsort(stable=True)
    ordered = labels[order]
    ends = torch.ones_like(labels, dtype=torch.bool)
    ends[:-1] = ordered[1:] != ordered[:-1]
    starts = torch.searchsorted(ordered, ordered)
    following = torch.arange(len(labels), device=labels.device) + 1
    following = torch.where(ends, starts, following)
    result = torch.empty_like(order)
    result[order] = order[following]
    return result


class Embedding(Adapter):
    """Outputs are points (N, D); subclasses say what the criterion makes of the triplets.

    A batch without any triplet costs nothing, and counts for nothing in the mean.
    """

    means: Tensor
    seen: Tensor

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
    def least_batch(self) -> int:
        return 3  # an anchor, its positive and its negative

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        points = self.points(outputs)
        triplets = mined_triplets(points, labels)
        if not len(triplets[0]):
            return points.sum() * 0.0
        anchors, positives, negatives = (points[indices] for indices in triplets)
        loss = self.compared(anchors, positives, negatives)
        return loss.mean() if loss.ndim else loss

    def compared(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        """Return the criterion's loss of triplets of points, (T, D) each."""
        raise NotImplementedError

    def points(self, outputs: Tensor) -> Tensor:
        """Return the points whose Euclidean distances matter, in float32."""
        return outputs.float()

    def loss_weight(self, labels: Tensor) -> Tensor | int:
        return is_anchor(labels).sum()

    @torch.no_grad()
    def learn(self, outputs: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take the mean point of every class."""
        sums = torch.zeros_like(self.means)
        counts = torch.zeros(self.num_classes, device=self.means.device)
        for batch, labels in outputs:
            # As a product with a one-hot matrix, which adds in the same order every time.
            member = functional.one_hot(labels, self.num_classes).float()
            sums += member.T @ self.points(batch)
            counts += member.sum(dim=0)
        self.means.copy_(self.points(sums / counts.clamp_min(1.0)[:, None]))
        self.seen.copy_(counts > 0)

    def predict(self, outputs: Tensor) -> Tensor:
        return self._closeness(outputs).argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the softmax of the negative squared distances to the class means."""
        return self._closeness(outputs).softmax(dim=1)

    def _closeness(self, outputs: Tensor) -> Tensor:
        distances = torch.cdist(self.points(outputs), self.means)
        return -distances.square().masked_fill(~self.seen, torch.inf)


class Triplet(Embedding):
    """For the triplet margin: an anchor, its positive and its negative."""

    def compared(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        loss: Tensor = self.criterion(anchors, positives, negatives)
        return loss


class Ranking(Embedding):
    """For the ranking margin: the negative's distance is to rank above the positive's."""

    def compared(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        far = functional.pairwise_distance(anchors, negatives)
        near = functional.pairwise_distance(anchors, positives)
        loss: Tensor = self.criterion(far, near, torch.ones_like(far))
        return loss


class PairDistance(Embedding):
    """For the hinge on distances of pairs: small for a positive pair, large for a negative."""

    def compared(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        near = functional.pairwise_distance(anchors, positives)
        far = functional.pairwise_distance(anchors, negatives)
        signs = torch.cat([torch.ones_like(near), -torch.ones_like(far)])
        loss: Tensor = self.criterion(torch.cat([near, far]), signs)
        return loss


class PairCosine(Embedding):
    """For the cosine of pairs: only the direction of a point matters."""

    def points(self, outputs: Tensor) -> Tensor:
        return functional.normalize(outputs.float())

    def compared(self, anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        ones = torch.ones(len(anchors), device=anchors.device)
        loss: Tensor = self.criterion(
            torch.cat([anchors, anchors]),
            torch.cat([positives, negatives]),
            torch.cat([ones, -ones]),
        )
        return loss
