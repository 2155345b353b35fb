"""What a network is trained on: criteria, and the adapters between logits, labels and losses."""

from sweeper.losses.adapters import Adapter, ClassIndex, OneHot
from sweeper.losses.weights import class_weights

__all__ = ["Adapter", "ClassIndex", "OneHot", "class_weights"]
