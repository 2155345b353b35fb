"""Where scores become predictions, for losses that leave it open."""

import torch
from torch import Tensor


def best_threshold(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the one threshold of all classes above which to predict, for the best macro F1.

    scores: (N, K) float; labels: (N, K) zeros and ones. The result is a float64 scalar on the
    CPU, midway between two scores. Classes that are in no image are left out; if all are, so that
    there is nothing to predict, it is infinite.
    """
    scores, labels = scores.double().cpu(), labels.cpu()
    occurring = labels.any(dim=0)
    if not occurring.any():
        return torch.tensor(torch.inf, dtype=torch.float64)
    levels, gains = _gains(scores[:, occurring], labels[:, occurring])
    # What can be cut off: nothing, the scores above a gap, and all of them.
    totals = torch.cat([torch.zeros(1), gains.cumsum(dim=0)])
    cuts = torch.ones_like(totals, dtype=torch.bool)
    cuts[1:-1] = levels[:-1] > levels[1:]
    middles = (levels[:-1] + levels[1:]) / 2
    thresholds = torch.cat([levels[:1], middles, levels[-1:] - 1.0])
    return thresholds[torch.where(cuts, totals, -1.0).argmax()]


def _gains(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return all scores from above, and what the sum of F1 gains by predicting each as well."""
    ranked, order = scores.sort(dim=0, descending=True)
    hits = labels.gather(0, order).cumsum(dim=0)
    predicted = torch.arange(1, len(scores) + 1)[:, None]
    f1 = 2 * hits.double() / (predicted + labels.sum(dim=0))
    gains = f1.diff(dim=0, prepend=torch.zeros(1, scores.shape[1], dtype=f1.dtype))
    levels, places = ranked.flatten().sort(descending=True)
    return levels, gains.flatten()[places]
