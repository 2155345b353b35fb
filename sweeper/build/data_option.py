"""The option of the group `data`: a source, and how its images are prepared."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from sweeper.build.option import Option, Trust, instantiated, pop_keys
from sweeper.data.describe import Description, describe
from sweeper.data.file_source import DataSet, FileSource
from sweeper.data.image_data import ImageData
from sweeper.data.image_files import FileImages, FilePhotographs
from sweeper.data.inputs import Inputs
from sweeper.data.pipeline import Pipeline
from sweeper.data.prepare import (
    PipelineKeys,
    RunNeeds,
    evaluation_files,
    evaluation_pipeline,
    prepare,
)
from sweeper.data.profile import Profile
from sweeper.data.recognised import require_new_targets
from sweeper.schema import parsed
from sweeper.training.settings import TrainerSettings


@dataclass(frozen=True)
class DataKeys:
    """The keys of a data option that only the root of the config refers to."""

    metric: str | None = None


class DataOption:
    """The option of the group `data`, checked; nothing is read yet.

    `min_image_size` is that of the network: smaller images are enlarged.

    Raises:
        ConfigError: the source, a transform or an argument cannot work.
    """

    def __init__(self, name: str, node: dict[str, Any], min_image_size: int, trust: Trust) -> None:
        pop_keys("data", DataKeys, node)
        names = {field.name for field in fields(PipelineKeys)}
        pipeline = {key: node.pop(key) for key in names & node.keys()}
        self._source = Option.of_node("data", name, node, trust=trust)
        for key in ("train_transform", "eval_transform"):
            require_new_targets(pipeline.get(key), f"data.{key}")
        self._keys = parsed("data", PipelineKeys, instantiated("data", name, pipeline, trust))
        self._min_image_size = min_image_size

    @property
    def name(self) -> str:
        """The name of the option."""
        return self._source.name

    @property
    def batch_size(self) -> int:
        """The number of images in a training batch."""
        return self._keys.batch_size

    def source(self) -> DataSet:
        """Build the data set, which reads nothing yet."""
        source: DataSet = self._source()
        return source

    def describe(self) -> Description:
        """Return the shape of the network's input and the number of classes.

        The data is read only if its source cannot describe itself.
        """
        description: Description = Option("data", self.name, describe, {})(
            source=self.source(), inputs=self._inputs
        )
        return description

    def prepared(
        self,
        source: DataSet,
        seed: int,
        trainer: TrainerSettings,
        device: torch.device,
        channels_last: bool,
    ) -> ImageData:
        """Read and split the data of a source.

        Raises:
            DataError: the data is missing or cannot be read.
            ConfigError: a setting does not fit the data.
        """
        needs = RunNeeds(
            seed=seed,
            min_image_size=self._min_image_size,
            device=device,
            channels_last=channels_last,
            train_limit=trainer.train_limit,
            val_limit=trainer.val_limit,
            test_limit=trainer.test_limit,
        )
        data: ImageData = Option("data", self.name, prepare, {})(
            source=source, keys=self._keys, needs=needs
        )
        return data

    def pipeline(self, profile: Profile, device: torch.device, channels_last: bool) -> Pipeline:
        """Build the transforms from decoded images to the network's input, as for evaluation."""
        return evaluation_pipeline(
            profile,
            self._inputs,
            reads_files=self._reads_files(),
            device=device,
            channels_last=channels_last,
        )

    def files(self, paths: Sequence[Path], profile: Profile) -> FileImages | FilePhotographs:
        """Return image files, decoded as the pipeline for evaluation takes them.

        Raises:
            DataError: the images of the data had another number of channels than files have.
        """
        return evaluation_files(paths, profile, self._inputs, self._reads_files())

    def _reads_files(self) -> bool:
        return isinstance(self.source(), FileSource)

    @property
    def _inputs(self) -> Inputs:
        return self._keys.inputs(self.name, self._min_image_size)
