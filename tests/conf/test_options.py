"""Every option of every group composes, builds, and takes one training step."""

from pathlib import Path

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser

from sweeper.configs import CONFIGS
from sweeper.sweep.mlflow_study import MLflowStudy

GROUPS = ("loss", "model", "optimizer", "scheduler", "init", "stopping", "trainer", "tracking")
OFFLINE = {"data": ["digits", "digit_strings"]}
STRINGS = {"data=digit_strings", "loss=ctc", "model=crnn"}
"""Of these, none works without the others."""


def options(group: str) -> list[str]:
    return OFFLINE.get(group) or sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


EVERY = [(group, option) for group in (*GROUPS, *OFFLINE) for option in options(group)]


@pytest.mark.parametrize(("group", "option"), EVERY)
def test_every_option_takes_a_training_step(built, group, option) -> None:
    small = {"vgg": ["model.width=0.1"], "alexnet": ["model.width=0.1"]}
    extra = next((more for name, more in small.items() if option.startswith(name)), [])
    chosen = f"{group}={option}"
    extra = [*extra, *(STRINGS - {chosen} if chosen in STRINGS else [])]
    experiment = built(chosen, *extra, "trainer.train_limit=8", "data.batch_size=4")
    before = [p.detach().clone() for p in experiment.model.parameters()]
    experiment.model.train()
    for batch, (images, labels) in enumerate(experiment.data.train(1), start=1):
        loss = experiment.adapter(experiment.model(images), labels)
        experiment.updates.after_batch(loss, batch, 2)
    experiment.updates.schedule.after_epoch(0.5)
    assert loss.isfinite()
    after = experiment.model.parameters()
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


WITHOUT_NODE = ("search", "experiment")
SEARCHED = ("model", "data", "optimizer", "loss", "scheduler", "init")
"""The groups of which docs/sweeps.md says that their options have `search` blocks."""
SPACED = [p for p in sorted(CONFIGS.glob("*/*.yaml")) if p.parent.name not in WITHOUT_NODE]


@pytest.mark.parametrize("path", SPACED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_search_space_is_in_hydras_grammar(path: Path, composed) -> None:
    cfg = composed(f"{path.parent.name}={path.stem}").cfg[path.parent.name]
    # A block may be empty. An option without a block would be left out of a study unnoticed.
    has_block = path.parent.name in SEARCHED and path.stem != "default"
    assert ("search" in cfg) == has_block
    parser = OverridesParser.create()
    for key, values in cfg.get("search", {}).items():
        assert key in cfg
        assert parser.parse_override(f"{key}={values}").is_sweep_override()


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_option_says_what_it_is(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("search/*.yaml")), ids=lambda path: path.stem)
def test_every_ready_made_search_is_in_hydras_grammar(path: Path, composed) -> None:
    sweeper = composed(f"search={path.stem}", hydra=True).hydra.sweeper
    for key, values in (sweeper.params or {}).items():
        override = OverridesParser.create().parse_override(f"{key}={values}")
        assert override.is_sweep_override()


@pytest.mark.parametrize("option", ["mlflow", "all"])
def test_the_record_of_a_study_has_the_settings_of_that_of_a_run(option, composed) -> None:
    overrides = [f"tracking={option}", "tracking.flush_seconds=7", "tracking.experiment=e"]
    tracking = composed(*overrides).cfg.tracking
    [observer] = tracking.study_observers
    shared = {key for key in tracking if key in MLflowStudy.__dataclass_fields__}
    assert {key: observer[key] for key in shared} == {key: tracking[key] for key in shared}
    assert {"uri", "experiment", "flush_seconds", "model", "register"} == shared
