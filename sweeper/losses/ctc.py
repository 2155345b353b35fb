"""Connectionist temporal classification: strings out of time steps, without an alignment."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType


class Ctc(Adapter):
    """For the CTC loss of Graves et al. (2006): outputs (N, T, K + 1), labels (N, L).

    Every time step says one of the K classes, or nothing: the `blank` of the criterion, whose
    output may stand anywhere, the classes' in order around it. A string is read by taking the
    likeliest of each step, then one of every run of equals, then the blanks out (best path
    decoding, section 3.2).

    Raises:
        ConfigError: the blank is none of the outputs.
    """

    label_types: ClassVar[frozenset[LabelType]] = frozenset({"sequence"})

    def __init__(
        self, criterion: nn.Module, num_classes: int, label_type: LabelType = "sequence"
    ) -> None:
        super().__init__(criterion, num_classes, label_type)
        self.blank = int(getattr(criterion, "blank", 0))
        self.zero_infinity = bool(getattr(criterion, "zero_infinity", False))
        if not 0 <= self.blank <= num_classes:
            raise ConfigError(
                f"loss.blank={self.blank}: with {num_classes} classes there are outputs "
                f"0 to {num_classes}; type loss.blank=0"
            )

    @property
    def n_outputs(self) -> int:
        return self.num_classes + 1

    @property
    def output_shape(self) -> str:
        return (
            f"(1, T, {self.n_outputs}), a row a time step: type model=crnn, or take num_classes "
            "in the constructor of your own"
        )

    def reads(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[0] == 1 and shape[2] == self.n_outputs

    def shortage(self, shape: tuple[int, ...], label_shape: tuple[int, ...]) -> str | None:
        """Return what to type where the longest string does not fit, were it of one character.

        Between two equal characters there has to be a blank, or they would be read as one.
        """
        (length,) = label_shape
        needed = length if self.zero_infinity else max(1, 2 * length - 1)
        if shape[1] >= needed:
            return None
        return (
            f"{shape[1]} time steps are too few for strings of {length}, which take up to "
            f"{needed} with a blank between equals: type a larger data.image_size, model.channels "
            "with fewer M, or loss.zero_infinity=true to learn nothing from what does not fit"
        )

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        # torch's backward pass on a GPU does not repeat, and other devices have none.
        native = outputs.is_cuda and not torch.are_deterministic_algorithms_enabled()
        device = outputs.device if native else torch.device("cpu")
        scores = self.activated(outputs.float()).to(device)
        targets, lengths = self.target(labels).to(device), (labels >= 0).sum(dim=1).to(device)
        steps = torch.full_like(lengths, scores.shape[0])
        loss: Tensor = self.criterion(scores, targets, steps, lengths)
        return (loss.mean() if loss.ndim else loss).to(outputs.device)

    def activated(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities, time first: (T, N, K + 1)."""
        return outputs.log_softmax(dim=2).transpose(0, 1)

    def target(self, labels: Tensor) -> Tensor:
        """Return the outputs of the classes, (N, L), filled up with some output."""
        return labels.clamp_min(0) + (labels >= self.blank)

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the classes of the best path, (N, T) int64 filled up with -1."""
        best = outputs.argmax(dim=2)
        said = best != self.blank
        said[:, 1:] &= best[:, 1:] != best[:, :-1]
        # What is said, moved to the left in its order; no host waits for the longest string.
        order = said.int().argsort(dim=1, descending=True, stable=True)
        classes = torch.where(said, best - (best > self.blank).long(), -1)
        return classes.gather(1, order)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of the best path, (N,) float32."""
        return outputs.float().log_softmax(dim=2).amax(dim=2).sum(dim=1).exp()
