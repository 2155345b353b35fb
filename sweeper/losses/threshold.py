"""A threshold on scores, for losses that do not define which scores are positive."""

import torch
from torch import Tensor


def best_threshold(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the threshold, one for all classes, with the best macro F1.

    A class is predicted where its score is above the threshold.

    scores: (N, K) float; labels: (N, K) zeros and ones; returns a float64 scalar on the CPU,
    midway between two scores unless no score or every score is best predicted. F1 is averaged
    over the classes that occur in the labels. If no class occurs, the threshold is infinite.
    """
    scores, labels = scores.double().cpu(), labels.cpu()
    occurring = labels.any(dim=0)
    if not occurring.any():
        return torch.tensor(torch.inf, dtype=torch.float64)
    levels, gains = _f1_gains(scores[:, occurring], labels[:, occurring])
    # Entry i is the sum of F1 over the classes when the i highest scores are predicted.
    f1_sums = torch.cat([torch.zeros(1), gains.cumsum(dim=0)])
    # No threshold separates equal scores.
    separable = torch.ones_like(f1_sums, dtype=torch.bool)
    separable[1:-1] = levels[:-1] > levels[1:]
    middles = (levels[:-1] + levels[1:]) / 2
    thresholds = torch.cat([levels[:1], middles, levels[-1:] - 1.0])
    return thresholds[torch.where(separable, f1_sums, -1.0).argmax()]


def _f1_gains(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return all scores in descending order, and the gain in F1 of predicting each one as well.

    scores: (N, K) float64; labels: (N, K); returns two tensors (N * K,) float64. A gain is that
    of the score's own class, whose higher scores are predicted already.
    """
    ranked, order = scores.sort(dim=0, descending=True)
    true_positives = labels.gather(0, order).cumsum(dim=0)
    n_predicted = torch.arange(1, len(scores) + 1)[:, None]
    f1 = 2 * true_positives.double() / (n_predicted + labels.sum(dim=0))
    gains = f1.diff(dim=0, prepend=torch.zeros(1, scores.shape[1], dtype=f1.dtype))
    levels, indices = ranked.flatten().sort(descending=True)
    return levels, gains.flatten()[indices]
