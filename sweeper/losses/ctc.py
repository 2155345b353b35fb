"""The adapter of connectionist temporal classification: strings learned without an alignment."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sweeper.errors import ConfigError
from sweeper.losses.adapter import Adapter
from sweeper.objectives import LabelType


class Ctc(Adapter):
    """The adapter of the CTC loss of Graves et al. (2006).

    outputs: (N, T, K + 1) float; labels: (N, L) int64, padded with -1.

    At every time step, the network chooses one of K classes or the blank. The blank may be any
    of the outputs (`blank` of the criterion); the other outputs are the classes in their order.
    A prediction takes the output with the highest logit at each time step, merges repeats, and
    removes blanks (best path decoding, section 3.2).

    Raises:
        ConfigError: the index of the blank is not that of an output.
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
    def expected_outputs(self) -> str:
        return (
            f"(1, T, {self.n_outputs}), one row for each time step: type model=crnn, or give your "
            "own model a constructor argument num_classes"
        )

    def accepts_outputs(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[0] == 1 and shape[2] == self.n_outputs

    def shortage(self, shape: tuple[int, ...], label_shape: tuple[int, ...]) -> str | None:
        """Return an error message if the longest string may need more time steps than there are.

        Equal neighbours need a blank between them, because repeats are merged. A string of L
        equal characters therefore needs 2 * L - 1 time steps.
        """
        (length,) = label_shape
        needed = length if self.zero_infinity else max(1, 2 * length - 1)
        if shape[1] >= needed:
            return None
        return (
            f"{shape[1]} time steps are too few for strings of {length} characters, which need up "
            f"to {needed} with a blank between equal neighbours: type a larger data.image_size, "
            "fewer M in model.channels, or loss.zero_infinity=true to ignore strings that are too "
            "long"
        )

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        # torch's backward pass is not deterministic on CUDA, and does not exist on mps.
        on_device = outputs.is_cuda and not torch.are_deterministic_algorithms_enabled()
        device = outputs.device if on_device else torch.device("cpu")
        log_probabilities = self.activated(outputs.float()).to(device)
        targets, lengths = self.target(labels).to(device), (labels >= 0).sum(dim=1).to(device)
        n_steps = torch.full_like(lengths, log_probabilities.shape[0])
        loss: Tensor = self.criterion(log_probabilities, targets, n_steps, lengths)
        return (loss.mean() if loss.ndim else loss).to(outputs.device)

    def activated(self, outputs: Tensor) -> Tensor:
        """Return log-probabilities (T, N, K + 1) float32; CTCLoss expects time first."""
        return outputs.log_softmax(dim=2).transpose(0, 1)

    def target(self, labels: Tensor) -> Tensor:
        """Return output indices (N, L) int64; CTCLoss ignores those behind the end of a string."""
        return labels.clamp_min(0) + (labels >= self.blank)

    def predict(self, outputs: Tensor) -> Tensor:
        """Return the classes of the best path, (N, T) int64 padded with -1."""
        best = outputs.argmax(dim=2)
        is_character = best != self.blank
        is_character[:, 1:] &= best[:, 1:] != best[:, :-1]
        # A stable sort moves the characters to the left. Cutting the rows to the longest string
        # would make the host wait for the device.
        order = is_character.int().argsort(dim=1, descending=True, stable=True)
        classes = torch.where(is_character, best - (best > self.blank).long(), -1)
        return classes.gather(1, order)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probability of the best path, (N,) float32."""
        return outputs.float().log_softmax(dim=2).amax(dim=2).sum(dim=1).exp()
