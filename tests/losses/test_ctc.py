"""CTC, compared with sums over paths that are computed by hand and by brute force."""

import itertools
import math

import pytest
import torch
from torch import nn

from sweeper.errors import ConfigError
from sweeper.losses import Ctc

PAD = -1


def outputs(*steps: list[float]) -> torch.Tensor:
    """Return logits of one image whose softmax gives these probabilities at each time step."""
    return torch.tensor([steps]).log() + 3.0


def ctc(num_classes: int = 1, **arguments: object) -> Ctc:
    return Ctc(nn.CTCLoss(**arguments), num_classes)


# Two time steps; output 0 is the blank. The paths a-, -a and aa give "a", and -- gives "".
TWO_STEPS = ([0.6, 0.4], [0.3, 0.7])
# Three time steps; only the path a-a gives "aa".
THREE_STEPS = (*TWO_STEPS, [0.5, 0.5])


@pytest.mark.parametrize(
    ("steps", "label", "probability"),
    [
        (TWO_STEPS, [0], 0.4 * 0.3 + 0.6 * 0.7 + 0.4 * 0.7),
        (TWO_STEPS, [PAD], 0.6 * 0.3),
        (THREE_STEPS, [0, 0], 0.4 * 0.3 * 0.5),
    ],
)
def test_the_likelihood_of_a_string_is_the_sum_over_its_paths(steps, label, probability) -> None:
    # torch's mean divides by the length of the string, or by one for the empty one.
    expected = -math.log(probability) / max(1, sum(character >= 0 for character in label))
    assert ctc()(outputs(*steps), torch.tensor([label])).item() == pytest.approx(expected)


def decoded(path: tuple[int, ...], blank: int) -> list[int]:
    """Return the classes of a path: merge repeats, remove blanks, number the classes."""
    outputs = [output for output, _ in itertools.groupby(path) if output != blank]
    return [output if output < blank else output - 1 for output in outputs]


@pytest.mark.parametrize("blank", [0, 1, 2, 3])
@pytest.mark.parametrize("label", [[], [0], [2, 2], [1, 0, 2]])
def test_the_likelihood_is_the_sum_over_paths_for_any_index_of_the_blank(blank, label) -> None:
    logits = torch.randn(1, 5, 4, generator=torch.Generator().manual_seed(0))
    steps = logits[0].double().softmax(dim=1).tolist()
    paths = (p for p in itertools.product(range(4), repeat=5) if decoded(p, blank) == label)
    likelihood = sum(math.prod(row[k] for row, k in zip(steps, p, strict=True)) for p in paths)
    padded = torch.tensor([label + [PAD] * (4 - len(label))])
    loss = ctc(3, blank=blank, reduction="none")(logits, padded)
    assert loss.item() == pytest.approx(-math.log(likelihood), rel=1e-5)


@pytest.mark.parametrize(
    ("blank", "best", "classes"),
    [
        (0, [1, 1, 0, 1, 2, 2], [0, 0, 1]),  # a blank separates two equal characters
        (0, [0, 0, 0, 0, 0, 0], []),
        (0, [3, 3, 3, 3, 3, 3], [2]),
        (0, [1, 2, 3, 1, 2, 3], [0, 1, 2, 0, 1, 2]),
        (2, [0, 2, 0, 3, 3, 1], [0, 0, 2, 1]),
        (3, [3, 3, 2, 3, 2, 0], [2, 2, 0]),
    ],
)
def test_a_string_is_the_best_path_without_repeats_and_blanks(blank, best, classes) -> None:
    logits = nn.functional.one_hot(torch.tensor([best]), 4).float()
    predicted = ctc(3, blank=blank).predict(logits)
    assert predicted.tolist() == [classes + [PAD] * (6 - len(classes))]


def test_the_probability_of_a_prediction_is_that_of_its_path() -> None:
    assert ctc().probabilities(outputs(*TWO_STEPS)).item() == pytest.approx(0.6 * 0.7)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_the_loss_of_a_meter_does_not_depend_on_the_batch_size(reduction) -> None:
    adapter = ctc(3, reduction=reduction)
    logits = torch.randn(7, 9, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[0, 1, 2], [1, 1, PAD], [2, PAD, PAD], [PAD] * 3] * 2)[:7]
    measured = []
    for size in (1, 3, 7):
        meter = adapter.meter(torch.device("cpu"))
        for batch in torch.arange(7).split(size):
            meter.update(logits[batch], labels[batch], adapter(logits[batch], labels[batch]))
        measured.append(meter.compute()["loss"])
    assert measured == pytest.approx([measured[0]] * 3)


@pytest.mark.parametrize("blank", [0, 2])
def test_images_without_characters_train_the_blank(blank) -> None:
    logits = torch.zeros(2, 3, 3, requires_grad=True)
    ctc(2, blank=blank)(logits, torch.full((2, 4), PAD)).backward()
    others = [k for k in range(3) if k != blank]
    assert (logits.grad[..., blank] < 0).all()
    assert (logits.grad[..., others] > 0).all()


def test_the_loss_of_half_precision_outputs_is_float32() -> None:
    logits, labels = torch.randn(1, 9, 3), torch.tensor([[0, 1]])
    half = ctc(2)(logits.bfloat16(), labels)
    assert half.dtype == torch.float32
    assert torch.equal(half, ctc(2)(logits.bfloat16().float(), labels))


@pytest.mark.parametrize(
    ("shape", "fits"),
    [((1, 9, 11), True), ((1, 11), False), ((1, 9, 10), False), ((2, 9, 11), False)],
)
def test_outputs_with_a_row_for_each_time_step_are_accepted(shape, fits) -> None:
    adapter = ctc(10)
    assert adapter.n_outputs == 11
    assert adapter.accepts_outputs(shape) is fits


@pytest.mark.parametrize(
    ("steps", "length", "zero_infinity", "fits"),
    [
        (11, 6, False, True),  # a-a-a-a-a-a
        (10, 6, False, False),
        (6, 6, True, True),
        (5, 6, True, False),
        (1, 1, False, True),
    ],
)
def test_a_string_of_equal_characters_must_fit_the_time_steps(
    steps, length, zero_infinity, fits
) -> None:
    adapter = ctc(10, zero_infinity=zero_infinity)
    assert (adapter.shortage((1, steps, 11), (length,)) is None) is fits
    label = torch.zeros(1, length, dtype=torch.int64)
    finite = ctc(10)(torch.zeros(1, steps, 11), label).isfinite().item()
    assert fits == (finite or (zero_infinity and steps >= length))


@pytest.mark.parametrize("blank", [-1, 11])
def test_a_blank_that_is_no_output_is_refused(blank) -> None:
    with pytest.raises(ConfigError, match=rf"^loss\.blank={blank}: .* outputs 0 to 10; type"):
        ctc(10, blank=blank)
