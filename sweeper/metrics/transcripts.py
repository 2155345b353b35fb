"""What is measured of strings that were read: how many are right, and in how many characters."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.output_reader import OutputReader


def edit_distances(read: Tensor, true: Tensor) -> Tensor:
    """Return how many characters to insert, delete or replace to get from one to the other: (N,).

    read: (N, T), true: (N, L) int64 from the left, filled up with -1. Wagner and Fischer, "The
    String-to-String Correction Problem" (1974), for all strings at once: a loop over the true
    characters, whose running minimum takes in the insertions along a row of the table.
    """
    places = torch.arange(read.shape[1] + 1, device=read.device)
    row = places.expand(len(read), -1)  # from nothing to what was read so far
    for character in true.unbind(dim=1):
        replaced = row[:, :-1] + (read != character[:, None])
        best = torch.minimum(row + 1, torch.nn.functional.pad(replaced, (1, 0), value=1 << 30))
        after = (best - places).cummin(dim=1).values + places
        row = torch.where((character >= 0)[:, None], after, row)
    return row.gather(1, (read >= 0).sum(dim=1, keepdim=True)).squeeze(1)


class Transcripts:
    """The share of strings read without a mistake, and mistakes a character of the true strings.

    All is counted on the device, so that no batch waits for the host.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._counts = torch.zeros(4, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        distances = edit_distances(self._adapter.predict(outputs), labels)
        strings = torch.full((), len(labels), device=labels.device)
        counts = ((distances == 0).sum(), strings, distances.sum(), (labels >= 0).sum())
        self._counts += torch.stack(counts)

    def compute(self) -> dict[str, float]:
        right, strings, mistakes, characters = self._counts.tolist()
        return {
            "sequence_accuracy": right / (strings or 1),
            "character_error_rate": mistakes / (characters or 1),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"counts": self._counts.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counts.copy_(torch.tensor(state["counts"]))
