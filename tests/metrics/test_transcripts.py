"""Edit distances and what is measured of strings, worked by hand."""

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


@pytest.mark.parametrize(("read", "true", "distance"), PAIRS)
def test_a_distance_is_the_fewest_changes(read, true, distance) -> None:
    assert edit_distances(encoded(read), encoded(true)).tolist() == [distance]


def test_strings_of_all_lengths_are_compared_at_once() -> None:
    read, true, distances = zip(*PAIRS, strict=True)
    found = edit_distances(encoded(*read, length=11), encoded(*true))
    assert found.tolist() == list(distances)


def transcripts() -> Transcripts:
    return Transcripts(Ctc(nn.CTCLoss(), 3), CPU)


def outputs(*best: list[int]) -> torch.Tensor:
    return nn.functional.one_hot(torch.tensor(best), 4).float()


# Read as 012, 0 and 02, the last of which are one character short and one wrong.
FIRST = outputs([1, 2, 3], [1, 1, 1]), torch.tensor([[0, 1, 2], [0, 1, -1]])
SECOND = outputs([1, 3, 3]), torch.tensor([[0, 1, -1]])


def test_whole_strings_and_characters_are_counted_over_all_batches() -> None:
    measure = transcripts()
    measure.update(*FIRST)
    measure.update(*SECOND)
    rates = {"sequence_accuracy": 1 / 3, "character_error_rate": (0 + 1 + 1) / (3 + 2 + 2)}
    assert measure.compute() == pytest.approx(rates)
    assert measure.compute() == pytest.approx(rates)  # looking changes nothing


def test_a_measure_goes_on_where_it_was_interrupted() -> None:
    whole, before, after = transcripts(), transcripts(), transcripts()
    for measure in (whole, before):
        measure.update(*FIRST)
    after.load_state_dict(before.state_dict())
    for measure in (whole, after):
        measure.update(*SECOND)
    assert after.compute() == whole.compute()


def test_strings_without_characters_have_no_error_rate_to_divide_by() -> None:
    measure = transcripts()
    measure.update(outputs([0, 0, 0]), torch.tensor([[-1, -1]]))
    assert measure.compute() == {"sequence_accuracy": 1.0, "character_error_rate": 0.0}
