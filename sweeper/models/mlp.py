"""A multilayer perceptron; also the classifier at the end of a `ConvNet`."""

from itertools import pairwise
from math import prod

from pydantic import PositiveInt
from torch import nn

from sweeper.models.layers import Activation, make_activation
from sweeper.schema import Probability


class MLP(nn.Sequential):
    """Hidden layers of (linear, batch norm, activation, dropout), then one linear layer.

    images: (N, C, H, W) float; returns logits: (N, num_classes) float.

    With an empty `hidden`, the model is multinomial logistic regression, and the dropout applies
    to the pixels.
    """

    def __init__(
        self,
        input_shape: tuple[PositiveInt, PositiveInt, PositiveInt],
        num_classes: PositiveInt,
        hidden: list[PositiveInt],
        dropout: Probability = 0.0,
        batch_norm: bool = False,
        activation: Activation = "relu",
    ) -> None:
        sizes = [prod(input_shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for in_size, out_size in pairwise(sizes):
            # Batch norm subtracts the mean, so a bias before it would have no effect.
            layers += [nn.Linear(in_size, out_size, bias=not batch_norm)]
            layers += [nn.BatchNorm1d(out_size)] if batch_norm else []
            layers += [make_activation(activation), *_dropout(dropout)]
        if not hidden:
            layers += _dropout(dropout)
        super().__init__(*layers, nn.Linear(sizes[-1], num_classes))


def _dropout(probability: float) -> list[nn.Module]:
    return [nn.Dropout(probability)] if probability else []
