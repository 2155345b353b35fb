"""An experiment: one composed config, built into objects."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from sweeper.data.image_data import ImageData
from sweeper.losses import Adapter
from sweeper.tracking.tracker import Tracker
from sweeper.training.callback import Callback
from sweeper.training.scoring import Classifier
from sweeper.training.settings import RunSettings, TrainerSettings
from sweeper.training.stopping import StoppingRule
from sweeper.training.updates import Updates
from sweeper.training.watch_settings import WatchSettings


@dataclass(frozen=True)
class Experiment:
    """The objects that a run trains with; they hold no config."""

    settings: RunSettings
    trainer: TrainerSettings
    data: ImageData
    model: nn.Module
    adapter: Adapter
    updates: Updates
    stopping: StoppingRule | None
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]
    tracker: Tracker
    watch: WatchSettings
    callbacks: tuple[Callback, ...]
    """The user's own callbacks."""
    resumed_from: Path | None = None
    """The checkpoint that the run resumes from."""

    @property
    def classifier(self) -> Classifier:
        """The network to evaluate (the averaged one if weights are averaged), with its loss."""
        return Classifier(self.updates.eval_model, self.adapter, self.device, self.autocast)

    @property
    def trained(self) -> Classifier:
        """The network that is trained, with its loss."""
        return Classifier(self.model, self.adapter, self.device, self.autocast)

    @property
    def averages(self) -> bool:
        """True if the network to evaluate is an average, and not the trained one."""
        return self.updates.eval_model is not self.model
