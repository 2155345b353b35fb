"""Weight updates: gradient accumulation and clipping, optimizer steps, schedule and averaging."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sweeper.training.anomaly import back_propagate
from sweeper.training.momentum import start_momentum


class Schedule:
    """A learning-rate scheduler with the interval at which it steps: `step` or `epoch`."""

    def __init__(
        self,
        scheduler: LRScheduler | None,
        interval: str = "epoch",
        horizon: int | None = None,
    ) -> None:
        self.scheduler = scheduler
        self.interval = interval
        self.horizon = horizon
        """The length of the schedule in intervals; None for a schedule without an end."""

    def after_step(self) -> None:
        """Step the scheduler after an optimizer step, if its interval is `step`."""
        if self.scheduler is not None and self.interval == "step":
            self.scheduler.step()

    def after_epoch(self, value: float) -> None:
        """Step the scheduler after an epoch, if its interval is `epoch`.

        `value` is the monitored metric, which `ReduceLROnPlateau` needs.
        """
        if self.scheduler is None or self.interval == "step":
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(value)
        else:
            self.scheduler.step()


class Updates:
    """The updates of a network: an optimizer step for the losses of one or more batches."""

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
        if isinstance(optimizer, torch.optim.SGD):
            optimizer.register_step_pre_hook(
                lambda *_: start_momentum(optimizer, may_skip=scaler.is_enabled())
            )
        self._average: AveragedModel | None = None
        if ema_decay is not None:
            average = get_ema_multi_avg_fn(ema_decay)  # type: ignore[no-untyped-call]
            self._average = AveragedModel(model, multi_avg_fn=average, use_buffers=True)

    @property
    def eval_model(self) -> nn.Module:
        """The averaged network, or the trained one if weights are not averaged."""
        return self._model if self._average is None else self._average.module

    @property
    def lr(self) -> float:
        """The learning rate of the first parameter group, divided by its `lr_scale`."""
        group = self.optimizer.param_groups[0]
        return float(group["lr"]) / float(group.get("lr_scale", 1.0))

    def after_batch(self, loss: Tensor, batch: int, batches: int) -> None:
        """Back-propagate the scalar loss of a batch; step the optimizer at the end of its group.

        `batch` is the number of the batch in the epoch, from 1, and `batches` is their total. The
        optimizer steps after every `accumulate` batches and after the last batch of the epoch. The
        gradient of a step is the mean over its batches.

        Raises:
            TrainingError: a gradient is nan, and torch looks for that.
        """
        start = (batch - 1) // self._accumulate * self._accumulate
        size = min(self._accumulate, batches - start)  # the last group may be smaller
        scaled = self._scaler.scale(loss / size if size > 1 else loss)
        back_propagate(scaled)
        if batch - start == size:
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
            return  # half precision overflowed, so the scaler skipped this step
        self.schedule.after_step()
        if self._average is not None:
            self._average.update_parameters(self._model)
            _copy_other_buffers(self._model, self._average.module)

    def _class_names(self) -> list[str]:
        """Return the class names of the optimizer, the scheduler and the average."""
        parts = (self.optimizer, self.schedule.scheduler, self._average)
        return [type(part).__name__ for part in parts if part is not None]

    def _group_names(self) -> list[list[str]]:
        """Return the names of the parameters in each group, in the optimizer's order."""
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        return [[names[id(p)] for p in group["params"]] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, including gradients not yet applied."""
        scheduler = self.schedule.scheduler
        gradients = {n: p.grad for n, p in self._model.named_parameters() if p.grad is not None}
        return {
            "kinds": self._class_names(),
            "groups": self._group_names(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "scaler": self._scaler.state_dict(),
            "ema": None if self._average is None else self._average.state_dict(),
            "gradients": gradients,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load the state of a checkpoint.

        Raises:
            ValueError: the state belongs to an optimizer, scheduler or average of another class, or
                to an optimizer with other parameter groups.
        """
        saved, current = state["kinds"], self._class_names()
        if saved != current:
            raise ValueError(f"{', '.join(saved)} instead of {', '.join(current)}")
        # torch assigns moments by position alone, and its fused kernels do not check their shapes.
        if state.get("groups", self._group_names()) != self._group_names():
            raise ValueError("its parameter groups differ")
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, values in self.optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.ndim and value.shape == parameter.shape:
                    values[name] = _laid_out_as(parameter, value)
        if self.schedule.scheduler is not None:
            self.schedule.scheduler.load_state_dict(state["scheduler"])
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.load_state_dict(state["ema"])
        for name, parameter in self._model.named_parameters():
            if name in state["gradients"]:
                parameter.grad = _laid_out_as(parameter, state["gradients"][name])


@torch.no_grad()
def _copy_other_buffers(model: nn.Module, average: nn.Module) -> None:
    """Copy the buffers whose averages mean nothing, which are all but running statistics.

    An average of integers is truncated, and one of infinite values is not a number.
    """
    for layer, averaged in zip(model.modules(), average.modules(), strict=True):
        for name, buffer in layer.named_buffers(recurse=False):
            if not (isinstance(layer, _NormBase) and buffer.is_floating_point()):
                averaged.get_buffer(name).copy_(buffer)


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a copy of the value on the device and in the memory format of the parameter.

    A checkpoint may be of a run in another format. torch would keep it, and its fused kernels on a
    CPU pair the elements of parameter, gradient and moments by their places in memory.
    """
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
