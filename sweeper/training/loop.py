"""The training loop: `fit` trains an experiment epoch by epoch and calls the callbacks."""

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from torch import Tensor

from sweeper.errors import TrainingError
from sweeper.training.callback import Callback
from sweeper.training.experiment import Experiment
from sweeper.training.scoring import learn_from_training, measure
from sweeper.training.seeding import preserved_rng_state
from sweeper.training.state import RunState

CHECK_EVERY = 100
"""Batches between two checks of the loss on a GPU, because each check makes the host wait."""


def fit(experiment: Experiment, state: RunState, callbacks: Sequence[Callback]) -> None:
    """Train until the last epoch, or until the run is stopped or interrupted.

    Raises:
        TrainingError: a loss is not finite, or a gradient is nan and torch looks for that.
    """
    for callback in callbacks:
        callback.on_fit_start(state)
    while not state.over:
        if not state.batch and (not state.epoch or experiment.averages):
            # The metrics of training are those of the trained network, not of the averaged one.
            learn_from_training(experiment.trained, experiment.data.unaugmented_train())
        experiment.model.train()  # before the callbacks, which may put a part into evaluation mode
        for callback in callbacks:
            callback.on_epoch_start(state)
        started = time.perf_counter()
        train = train_epoch(experiment, state, callbacks)
        if state.interrupted and state.batch < state.steps_per_epoch:
            break
        learn_from_training(experiment.classifier, experiment.data.unaugmented_train())
        val = measure(experiment.classifier, experiment.data.val())
        require_finite(val["loss"], "validation", experiment, state)
        seconds = {"epoch_seconds": time.perf_counter() - started}
        lr = {"lr": state.lr}
        state.record(train | {f"val/{name}": value for name, value in val.items()} | lr | seconds)
        experiment.updates.schedule.after_epoch(state.value)
        for callback in callbacks:
            callback.on_epoch_end(state)
    for callback in callbacks:
        callback.on_fit_end(state)


def train_epoch(
    experiment: Experiment, state: RunState, callbacks: Sequence[Callback]
) -> dict[str, float]:
    """Train on the remaining batches of an epoch; return its training metrics and images/s.

    Raises:
        TrainingError: the training loss is not finite, or a gradient is nan and torch looks for
            that.
    """
    meter = state.meter = state.meter or experiment.adapter.meter(experiment.device)
    started, images_before = time.perf_counter(), meter.count
    check_every = 1 if experiment.device.type == "cpu" else CHECK_EVERY
    for images, labels in remaining_batches(experiment, state):
        with experiment.autocast():
            outputs = experiment.model(images)
        loss = experiment.adapter(outputs, labels)
        if state.batch % check_every == 0:
            require_finite(loss.item(), "training", experiment, state)
        state.batch, state.lr = state.batch + 1, experiment.updates.lr
        experiment.updates.after_batch(loss, state.batch, state.steps_per_epoch)
        meter.update(outputs, labels, loss)
        for callback in callbacks:
            callback.on_batch_end(state)
        if state.interrupted:
            break
    measured = meter.compute()
    require_finite(measured["loss"], "training", experiment, state)
    rate = (meter.count - images_before) / (time.perf_counter() - started)
    return {f"train/{name}": value for name, value in measured.items()} | {
        "images_per_second": rate
    }


def remaining_batches(experiment: Experiment, state: RunState) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the images and labels of the current epoch's batches from `state.batch` on.

    A run that is resumed in the middle of an epoch has trained on the earlier batches already.
    """
    batches = experiment.data.train(state.epoch + 1)
    if state.batch:
        with preserved_rng_state():  # the checkpoint has set it, and skipping changes it
            for _ in islice(batches, state.batch):
                pass
    return batches


def require_finite(loss: float, kind: str, experiment: Experiment, state: RunState) -> None:
    """Check that the loss is a finite number.

    Raises:
        TrainingError: the loss is nan or infinite; the message names epoch, batch and a remedy.
    """
    if math.isfinite(loss):
        return
    raise TrainingError(
        f"The {kind} loss became {loss} in epoch {state.epoch + 1}, batch {state.batch + 1} of "
        f"{state.steps_per_epoch}, at a learning rate of {experiment.updates.lr:g}: "
        "try a smaller optimizer.lr, or trainer.clip_norm=1"
    )
