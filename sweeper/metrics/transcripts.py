"""The measure of strings: sequence accuracy and character error rate."""

from typing import Any

import torch
from torch import Tensor

from sweeper.metrics.output_reader import OutputReader


def edit_distances(predicted: Tensor, labels: Tensor) -> Tensor:
    """Return the edit distance of each prediction to its label, (N,) int64.

    predicted: (N, T) int64; labels: (N, L) int64; both padded with -1. The edit distance is the
    smallest number of characters to insert, delete or replace (Wagner and Fischer, "The
    String-to-String Correction Problem", 1974). All strings are compared at once: the loop goes
    over the characters of the labels, and each step computes a row of the table.
    """
    columns = torch.arange(predicted.shape[1] + 1, device=predicted.device)
    row = columns.expand(len(predicted), -1)  # distances to the empty label
    for character in labels.unbind(dim=1):
        replaced = row[:, :-1] + (predicted != character[:, None])
        best = torch.minimum(row + 1, torch.nn.functional.pad(replaced, (1, 0), value=1 << 30))
        # Insertions along the row cost 1 a column, which makes them a running minimum.
        next_row = (best - columns).cummin(dim=1).values + columns
        row = torch.where((character >= 0)[:, None], next_row, row)
    return row.gather(1, (predicted >= 0).sum(dim=1, keepdim=True)).squeeze(1)


class Transcripts:
    """The share of strings without a mistake, and the mistakes for each character of the labels.

    The counts stay on the device, so that no batch makes the host wait for it.
    """

    def __init__(self, adapter: OutputReader, device: torch.device) -> None:
        self._adapter = adapter
        self._counts = torch.zeros(4, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        distances = edit_distances(self._adapter.predict(outputs), labels)
        n_strings = torch.full((), len(labels), device=labels.device)
        counts = ((distances == 0).sum(), n_strings, distances.sum(), (labels >= 0).sum())
        self._counts += torch.stack(counts)

    def compute(self) -> dict[str, float]:
        n_correct, n_strings, n_mistakes, n_characters = self._counts.tolist()
        return {
            "sequence_accuracy": n_correct / (n_strings or 1),
            "character_error_rate": n_mistakes / (n_characters or 1),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"counts": self._counts.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._counts.copy_(torch.tensor(state["counts"]))
