"""One fully composed config, built into objects."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from sweeper.data.image_data import ImageData
from sweeper.losses import Adapter
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.evaluate import Classifier
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.stopping import Criterion
from sweeper.training.updates import Updates
from sweeper.training.watch_settings import WatchSettings


@dataclass(frozen=True)
class Experiment:
    """What a run trains and how, with nothing left of how it was configured."""

    settings: RunSettings
    trainer: TrainerSettings
    data: ImageData
    model: nn.Module
    criterion: Adapter
    updates: Updates
    stopping: Criterion | None
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]
    tracker: Tracker
    watch: WatchSettings
    callbacks: tuple[Callback, ...]
    """The user's own."""

    @property
    def kept(self) -> Classifier:
        """What is validated and kept: the averaged network where weights are averaged."""
        return Classifier(self.updates.eval_model, self.criterion, self.device, self.autocast)
