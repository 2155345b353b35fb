"""Adapters, which connect torch's loss functions with a network's outputs and its labels.

    adapter        `Adapter`, the base class: its methods are all that the other folders call
      class_index  the target is a class index, as in cross entropy
      indicator    the target is a one-hot or multi-hot vector, as in binary cross entropy
        threshold  the threshold above which `ClassList` predicts a class
      embedding    the outputs are points, compared in triplets or pairs of images
      ctc          the labels are strings, one character or blank at each time step
    class_weights  the weights of the classes, listed or computed from the training images

A loss option (`conf/loss/`) names torch's criterion and one of the adapters. `build` makes both,
and adds the class weights. The training loop calls the adapter for the loss, and its meter and
`predict` for the metrics.
"""

from sweeper.losses.adapter import Adapter
from sweeper.losses.class_index import ClassIndex, LogProbabilities
from sweeper.losses.class_weights import class_weights
from sweeper.losses.ctc import Ctc
from sweeper.losses.embedding import PairCosine, PairDistance, Ranking, Triplet
from sweeper.losses.indicator import (
    ClassList,
    Distribution,
    Logits,
    OneHot,
    Probabilities,
    Rate,
    Sigmoids,
    Signs,
)

__all__ = [
    "Adapter",
    "ClassIndex",
    "ClassList",
    "Ctc",
    "Distribution",
    "LogProbabilities",
    "Logits",
    "OneHot",
    "PairCosine",
    "PairDistance",
    "Probabilities",
    "Ranking",
    "Rate",
    "Sigmoids",
    "Signs",
    "Triplet",
    "class_weights",
]
