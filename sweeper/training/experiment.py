"""One fully composed config, built into objects."""

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
    """What a run trains and how, with nothing left of how it was configured."""

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
    """The user's own."""
    resumed: Path | None = None
    """The checkpoint that the run goes on from."""

    @property
    def evaluated(self) -> Classifier:
        """What is validated and kept: the averaged network where weights are averaged."""
        return Classifier(self.updates.eval_model, self.adapter, self.device, self.autocast)
