"""Edit distances and the metrics of strings, compared with values computed by hand."""

import pytest
import torch
from torch import nn

from sweeper.losses import Ctc
from sweeper.metrics.transcripts import Transcripts, edit_distances

CPU = torch.device("cpu")


def encoded(*strings: str, length: int = 8) -> torch.Tensor:
    rows = [[ord(c) for c in text] + [-1] * (length - len(text)) for text in strings]
    return torch.tensor(rows, dtype=torch.int64)


PAIRS = [
    ("kitten", "sitting", 3),
    ("sitting", "kitten", 3),
    ("", "", 0),
    ("", "abc", 3),
    ("abc", "", 3),
    ("1223", "123", 1),  # one too many
    ("13", "123", 1),  # one missed
    ("153", "123", 1),  # one for another
    ("21", "12", 2),
    ("12345678", "12345678", 0),
    ("23456781", "12345678", 2),  # one moved to the other end
    ("aaaa", "bbbb", 4),
]


@pytest.mark.parametrize(("predicted", "label", "distance"), PAIRS)
def test_a_distance_is_the_fewest_changes(predicted, label, distance) -> None:
    assert edit_distances(encoded(predicted), encoded(label)).tolist() == [distance]


def test_strings_of_all_lengths_are_compared_at_once() -> None:
    predicted, labels, expected = zip(*PAIRS, strict=True)
    distances = edit_distances(encoded(*predicted, length=11), encoded(*labels))
    assert distances.tolist() == list(expected)


def transcripts() -> Transcripts:
    return Transcripts(Ctc(nn.CTCLoss(), 3), CPU)


def outputs(*best: list[int]) -> torch.Tensor:
    return nn.functional.one_hot(torch.tensor(best), 4).float()


# The predictions are 012, 0 and 02: right, one character missing, and one replaced.
FIRST = outputs([1, 2, 3], [1, 1, 1]), torch.tensor([[0, 1, 2], [0, 1, -1]])
SECOND = outputs([1, 3, 3]), torch.tensor([[0, 1, -1]])


def test_whole_strings_and_characters_are_counted_over_all_batches() -> None:
    measure = transcripts()
    measure.update(*FIRST)
    measure.update(*SECOND)
    rates = {"sequence_accuracy": 1 / 3, "character_error_rate": (0 + 1 + 1) / (3 + 2 + 2)}
    assert measure.compute() == pytest.approx(rates)
    assert measure.compute() == pytest.approx(rates)  # computing keeps the counts


def test_an_interrupted_measure_continues() -> None:
    whole, before, after = transcripts(), transcripts(), transcripts()
    for measure in (whole, before):
        measure.update(*FIRST)
    after.load_state_dict(before.state_dict())
    for measure in (whole, after):
        measure.update(*SECOND)
    assert after.compute() == whole.compute()


def test_the_error_rate_is_zero_without_characters() -> None:
    measure = transcripts()
    measure.update(outputs([0, 0, 0]), torch.tensor([[-1, -1]]))
    assert measure.compute() == {"sequence_accuracy": 1.0, "character_error_rate": 0.0}
