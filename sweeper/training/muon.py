"""An optimizer that updates the matrices of hidden layers with Muon and the rest with AdamW."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Muon for the weights of hidden layers, and AdamW for the output layer and all vectors.

    torch's own Muon accepts matrices only, so filters (O, I, H, W) are passed to it as matrices
    (O, I * H * W). `output_weight` is the weight of the output layer. Source: K. Jordan et al.,
    "Muon: An optimizer for hidden layers in neural networks" (2024).

    Raises:
        ValueError: no weight of a hidden layer is among `params`.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.01,
        adamw_lr: float = 0.001,
        adamw_betas: tuple[float, float] = (0.9, 0.999),
        output_weight: Tensor | None = None,
    ) -> None:
        super().__init__(params, {})

        def is_hidden(parameter: Tensor) -> bool:
            return is_matrix(parameter) and parameter is not output_weight

        hidden = _filtered(self.param_groups, is_hidden)
        others = _filtered(self.param_groups, lambda parameter: not is_hidden(parameter))
        if not hidden:
            raise ValueError(
                "no hidden layer is trained, and Muon is not for output layers; type "
                "optimizer=adamw"
            )
        self._weights: list[list[Tensor]] = [group["params"] for group in hidden]
        matrix_of = {weight: _matrix(weight) for weights in self._weights for weight in weights}
        self._matrices = list(matrix_of.items())
        matrices = [group | {"params": [matrix_of[p] for p in group["params"]]} for group in hidden]
        self._muon = Muon(
            matrices, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
        )
        self._optimizers: list[Optimizer] = [self._muon]
        if others:
            adamw = AdamW(others, lr=adamw_lr, betas=adamw_betas, weight_decay=weight_decay)
            self._optimizers.append(adamw)
        self._take_groups()

    def _take_groups(self) -> None:
        # Schedulers write learning rates into these groups. Those of AdamW are the same objects as
        # its own; those of Muon hold the weights in place of their matrices. Muon's come first: the
        # first group's rate is logged.
        pairs = zip(self._muon.param_groups, self._weights, strict=True)
        self.param_groups = [group | {"params": weights} for group, weights in pairs]
        for optimizer in self._optimizers[1:]:
            self.param_groups += optimizer.param_groups

    def _give_groups(self) -> None:
        for group, own in zip(self.param_groups, self._muon.param_groups, strict=False):
            own.update({key: value for key, value in group.items() if key != "params"})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Perform one step of both optimizers."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._give_groups()
        for weight, matrix in self._matrices:
            matrix.data = weight.detach().flatten(1)  # a view, or a copy if it is channels_last
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        for optimizer in self._optimizers:
            optimizer.step()
        for weight, matrix in self._matrices:
            if not weight.is_contiguous():
                weight.detach().copy_(matrix.detach().view(weight.shape))
            matrix.grad = None
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        self._give_groups()
        return {"parts": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both optimizers."""
        for optimizer, state in zip(self._optimizers, state_dict["parts"], strict=True):
            optimizer.load_state_dict(state)
        self._take_groups()


def is_matrix(parameter: Tensor) -> bool:
    """Return whether Muon can update a parameter: the weight of a linear layer, or 2-D filters.

    Parameters of three dimensions, such as the class token of a transformer, are no matrices.
    """
    return parameter.ndim in (2, 4)


def output_weight(model: nn.Module) -> Tensor | None:
    """Return the weight of the output layer, the last matrix; None for a model without any."""
    matrices = [parameter for parameter in model.parameters() if is_matrix(parameter)]
    return matrices[-1] if matrices else None


def _matrix(parameter: Tensor) -> Tensor:
    return nn.Parameter(parameter.detach().flatten(1))


def _filtered(
    groups: list[dict[str, Any]], condition: Callable[[Tensor], bool]
) -> list[dict[str, Any]]:
    """Return the groups with only the parameters that meet the condition, without empty groups."""
    filtered = [group | {"params": list(filter(condition, group["params"]))} for group in groups]
    return [group for group in filtered if group["params"]]
