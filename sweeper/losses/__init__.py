"""What a network is trained on: criteria, and the adapters between outputs, labels and losses."""

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
