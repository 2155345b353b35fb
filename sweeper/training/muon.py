"""Muon for matrices and AdamW for the rest, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer


class MuonWithAdamW(Optimizer):
    """Updates every two-dimensional parameter with Muon and all others with AdamW.

    Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024);
    torch's own Muon takes matrices only.
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
        matrices = _of_groups(self.param_groups, lambda parameter: parameter.ndim == 2)
        others = _of_groups(self.param_groups, lambda parameter: parameter.ndim != 2)
        self._parts: list[Optimizer] = []
        if matrices:
            muon = Muon(
                matrices, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=weight_decay
            )
            self._parts.append(muon)
        if others:
            adamw = AdamW(others, lr=adamw_lr, betas=adamw_betas, weight_decay=weight_decay)
            self._parts.append(adamw)
        self._share_groups()

    def _share_groups(self) -> None:
        # Schedulers write the learning rate into the groups, so both sides must hold the same ones.
        # Muon's come first: the first group's rate is the one on record.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step with both optimizers."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of both optimizers."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the states of both optimizers."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def _of_groups(
    groups: list[dict[str, Any]], wanted: Callable[[Tensor], bool]
) -> list[dict[str, Any]]:
    """The groups with those of their parameters that are wanted, without the empty ones."""
    parts = [group | {"params": list(filter(wanted, group["params"]))} for group in groups]
    return [part for part in parts if part["params"]]
