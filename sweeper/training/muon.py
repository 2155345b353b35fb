"""An optimizer that updates matrices with Muon and all other parameters with AdamW."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Muon for every two-dimensional parameter, and AdamW for all others.

    torch's own Muon accepts matrices only. Source: K. Jordan et al., "Muon: An optimizer for
    hidden layers in neural networks" (2024).
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
    ) -> None:
        super().__init__(params, {})
        matrices = _filtered(self.param_groups, lambda parameter: parameter.ndim == 2)
        others = _filtered(self.param_groups, lambda parameter: parameter.ndim != 2)
        self._optimizers: list[Optimizer] = []
        if matrices:
            muon = Muon(
                matrices, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
            )
            self._optimizers.append(muon)
        if others:
            adamw = AdamW(others, lr=adamw_lr, betas=adamw_betas, weight_decay=weight_decay)
            self._optimizers.append(adamw)
        self._share_groups()

    def _share_groups(self) -> None:
        # Schedulers write learning rates into these groups, so they must be the same objects as
        # the groups of the two optimizers. Muon's come first: the first group's rate is logged.
        self.param_groups = [group for each in self._optimizers for group in each.param_groups]

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
        for optimizer in self._optimizers:
            optimizer.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        return {"parts": [optimizer.state_dict() for optimizer in self._optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the states of both optimizers."""
        for optimizer, state in zip(self._optimizers, state_dict["parts"], strict=True):
            optimizer.load_state_dict(state)
        self._share_groups()


def _filtered(
    groups: list[dict[str, Any]], condition: Callable[[Tensor], bool]
) -> list[dict[str, Any]]:
    """Return the groups with only the parameters that meet the condition, without empty groups."""
    filtered = [group | {"params": list(filter(condition, group["params"]))} for group in groups]
    return [group for group in filtered if group["params"]]
