"""From a loss to new weights: accumulation, clipping, the optimizer, its schedule, averaging."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class Schedule:
    """A learning-rate scheduler, stepped at the interval that it counts in."""

    def __init__(
        self,
        scheduler: LRScheduler | None,
        interval: str = "epoch",
        horizon: int | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.interval = interval
        self.horizon = horizon
        """Intervals until the schedule is over; None for one without an end."""

    def after_step(self) -> None:
        """Step a scheduler that counts optimizer steps."""
        if self.scheduler is not None and self.interval == "step":
            self.scheduler.step()

    def after_epoch(self, value: float) -> None:
        """Step a scheduler that counts epochs; a plateau is seen in the monitored `value`."""
        if self.scheduler is None or self.interval == "step":
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(value)
        else:
            self.scheduler.step()


class Updates:
    """Turns the losses of batches into optimizer steps."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        *,
        scaler: torch.amp.GradScaler,
        accumulate: int = 1,
        clip_norm: float | None = None,
        ema_decay: float | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self._model = model
        self._scaler = scaler
        self._accumulate = accumulate
        self._clip_norm = clip_norm
        self._average: AveragedModel | None = None
        if ema_decay is not None:
            average = get_ema_multi_avg_fn(ema_decay)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)

    @property
    def eval_model(self) -> nn.Module:
        """The averaged network, or the trained one where none is kept."""
        return self._model if self._average is None else self._average.module

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group, without its `lr_scale`."""
        group = self.optimizer.param_groups[0]
        return float(group["lr"]) / float(group.get("lr_scale", 1.0))

    def after_batch(self, loss: Tensor, batch: int, batches: int) -> None:
        """Back-propagate the loss of batch number `batch` (from 1) of `batches` in the epoch.

        The optimizer steps after every `accumulate` batches and after the last one; a gradient
        is the mean over the batches of its group, whose last one in an epoch may be shorter.
        """
        first = (batch - 1) // self._accumulate * self._accumulate
        group = min(self._accumulate, batches - first)
        scaled = self._scaler.scale(loss / group if group > 1 else loss)
        scaled.backward()  # type: ignore[no-untyped-call]
        if batch - first == group:
            self._step()

    def _step(self) -> None:
        if self._clip_norm is not None:
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_norm)
        scale = self._scaler.get_scale()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self._scaler.get_scale() < scale:
            return  # half precision overflowed, and the scaler skipped this step
        self.schedule.after_step()
        if self._average is not None:
            self._average.update_parameters(self._model)

    def _kinds(self) -> list[str]:
        parts = (self.optimizer, self.schedule.scheduler, self._average)
        return [type(part).__name__ for part in parts if part is not None]

    def _groups(self) -> list[list[str]]:
        """The names of each group's parameters, in the order that the optimizer counts them in."""
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        return [[names[id(p)] for p in group["params"]] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on, gradients of an unfinished group included."""
        scheduler = self.schedule.scheduler
        gradients = {n: p.grad for n, p in self._model.named_parameters() if p.grad is not None}
        return {
            "kinds": self._kinds(),
            "groups": self._groups(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "scaler": self._scaler.state_dict(),
            "ema": None if self._average is None else self._average.state_dict(),
            "gradients": gradients,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state of a checkpoint.

        Raises:
            ValueError: it is of another kind of optimizer, scheduler or averaging, or of one that
                holds other parameters or groups them another way.
        """
        if state["kinds"] != self._kinds():
            raise ValueError(f"{', '.join(state['kinds'])} there, {', '.join(self._kinds())} here")
        # torch hands out moments by position alone, and its fused kernels trust their shapes.
        if state.get("groups", self._groups()) != self._groups():
            raise ValueError("its groups of parameters are others")
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule.scheduler is not None:
            self.schedule.scheduler.load_state_dict(state["scheduler"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["ema"])
        for name, parameter in self._model.named_parameters():
            if name in state["gradients"]:
                parameter.grad = state["gradients"][name].to(parameter.device)
