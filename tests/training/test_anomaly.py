"""The message about a gradient that is nan, and what is shown of other errors and warnings."""

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from sweeper.errors import TrainingError
from sweeper.training.anomaly import STACK, back_propagate


@pytest.fixture(params=[True])
def zeros(request) -> Iterator[Tensor]:
    before = torch.is_anomaly_enabled()
    torch.autograd.set_detect_anomaly(request.param)
    yield torch.zeros(3, requires_grad=True)
    torch.autograd.set_detect_anomaly(before)


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images: Tensor) -> Tensor:
        return images.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * float("nan")


def mul(zeros: Tensor) -> Tensor:
    return torch.sqrt(zeros * 0)


def of_torch(zeros: Tensor) -> Tensor:
    return nn.functional.normalize(zeros * 0, dim=0, eps=0)


def own(zeros: Tensor) -> Tensor:
    return Broken.apply(zeros)


@pytest.mark.parametrize(
    ("network", "operation"), [(mul, "Mul"), (of_torch, "Div"), (own, "Broken")]
)
def test_a_gradient_that_is_nan_names_its_operation_and_the_line_outside_torch(
    zeros, network, operation
) -> None:
    loss = network(zeros).sum()
    line = network.__code__.co_firstlineno + 1
    expected = rf"operation {operation} is nan, at {__file__}:{line}: return [^\n]+\. An input of 0"
    with pytest.raises(TrainingError, match=expected):  # and no warning, which would be an error
        back_propagate(loss)


@pytest.mark.parametrize("zeros", [False], indirect=True)
def test_without_the_setting_the_gradient_stays_nan(zeros) -> None:
    back_propagate(mul(zeros).sum())
    assert zeros.grad.isnan().all()


def test_another_error_keeps_its_message_and_torchs_warning(zeros) -> None:
    outputs = zeros.exp()
    loss = outputs.sum()
    outputs += 1
    with (
        pytest.warns(UserWarning, match=STACK),
        pytest.raises(RuntimeError, match="modified by an inplace operation"),
    ):
        back_propagate(loss)


def test_another_warning_is_shown(zeros) -> None:
    outputs = zeros * 1
    outputs.register_hook(lambda _: warnings.warn("of a hook", UserWarning, stacklevel=1))
    with pytest.warns(UserWarning, match="of a hook"):
        back_propagate(outputs.sum())
    assert zeros.grad.tolist() == [1, 1, 1]


def test_a_warning_of_each_batch_is_shown_once(zeros) -> None:
    def back_propagate_twice() -> None:
        for _ in range(2):
            outputs = zeros * 1
            outputs.register_hook(lambda _: warnings.warn("of each batch", stacklevel=1))
            back_propagate(outputs.sum())

    with pytest.warns(UserWarning, match="of each batch") as shown:
        back_propagate_twice()
    assert len(shown) == 1
