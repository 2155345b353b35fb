"""The default values that the pages state in their sentences are those of the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from sweeper.hydra_settings import StudySweeperConf
from sweeper.launch.resources import WORKER_MEMORY_BYTES
from sweeper.sweep.database import OUTAGE_SECONDS
from sweeper.sweep.elsewhere.sources import DEFAULT_N
from sweeper.sweep.guard import GRACE_SECONDS
from sweeper.sweep.promotion import Promotion
from sweeper.sweep.settings.study_settings import DEFAULT_FAILURE_RATE, DEFAULT_N_TRIALS
from sweeper.text import binary_size
from sweeper.training.report import MIN_IMAGES

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"
WORDS = {0.5: "half", 5: "five"}
OFFICIAL = "coming_from_hydra_optuna_sweeper.md"


def tpe() -> DictConfig:
    Plugins.instance()
    return ConfigStore.instance().load("hydra/sweeper/sampler/tpe.yaml").node


@pytest.mark.parametrize(
    ("page", "sentence", "value"),
    [
        (OFFICIAL, "number of trials; {} if nothing else ends the study", DEFAULT_N_TRIALS),
        (OFFICIAL, "failed trials are more than {} of `n_trials`", WORDS[DEFAULT_FAILURE_RATE]),
        (OFFICIAL, "`hydra.sweeper.finalist_seeds`, {})", StudySweeperConf.finalist_seeds),
        ("sweeps.md", "and without these after {} trials", DEFAULT_N_TRIALS),
        ("sweeps.md", "(more than {} of `n_trials`)", WORDS[DEFAULT_FAILURE_RATE]),
        ("sweeps.md", "with `hydra.sweeper.finalist_seeds` ({})", StudySweeperConf.finalist_seeds),
        ("sweeps.md", "(`hydra.sweeper.pruner.finish`, {},", Promotion.finish),
        ("sweeps.md", "less than {} of memory is free", binary_size(WORKER_MEMORY_BYTES)),
        ("../README.md", "less than {} of memory", binary_size(WORKER_MEMORY_BYTES)),
        ("sweeps.md", "TPE draws the best of {} candidates", tpe()["n_ei_candidates"]),
        ("sweeps.md", "only after {} training images", f"{MIN_IMAGES:,}"),
        ("sweeps.md", "tries the {} best points of another study first", WORDS[DEFAULT_N]),
        ("distributed.md", "Workers wait up to {} minutes", WORDS[OUTAGE_SECONDS / 60]),
        ("own.md", "for {} seconds after `trial_timeout`", f"{GRACE_SECONDS['trial_timeout']:g}"),
        ("own.md", "for {} seconds after `timeout`", f"{GRACE_SECONDS['timeout']:g}"),
        ("own.md", "for {} seconds after another worker", f"{GRACE_SECONDS['lost']:g}"),
    ],
)
def test_a_page_states_the_default_of_the_code(page, sentence, value) -> None:
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    assert sentence.format(value) in text


def test_tpe_is_multivariate_with_constant_liar_by_default() -> None:
    assert "`tpe` is multivariate with constant liar by default" in (DOCS / OFFICIAL).read_text()
    assert (tpe()["multivariate"], tpe()["constant_liar"]) == (True, True)


def rows(page: str, heading: str) -> Iterator[tuple[list[str], list[object]]]:
    """Yield the keys in the first column of a table, and their defaults in the second one."""
    table = (DOCS / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        keys, defaults = line.split("|")[1:3]
        values = [text.strip().strip("`") for text in defaults.split(", ")]
        yield re.findall(r"`(\w+)`", keys), [yaml.safe_load(text) for text in values]


ELSEWHERE = {
    *("sampler", "pruner", "direction", "metric", "growing", "steering"),
    *("verify", "conclude", "observers"),
}
"""Keys whose default in a study of sweeper's own is not that of the plugin."""


def test_the_table_of_the_keys_of_a_study_has_all_of_them_with_their_defaults() -> None:
    conf = OmegaConf.to_container(OmegaConf.structured(StudySweeperConf))
    of_hydra = {"defaults", "_target_", "_convert_", "_recursive_"}
    listed = list(rows("sweeps.md", "| key | default | what it does |"))
    assert {key for keys, _ in listed for key in keys} == set(conf) - of_hydra
    for keys, values in listed:
        for key, value in zip(keys, values, strict=False):
            assert key in ELSEWHERE or conf[key] == value, key


def test_the_table_of_the_trainers_keys_has_their_defaults(composed) -> None:
    listed = list(rows("options.md", "| key of `trainer` | default | what it does |"))
    assert len(listed) > 3
    for (key,), (value,) in listed:
        assert composed().cfg.trainer[key] == value


@pytest.mark.parametrize(
    ("file", "sentence", "key", "overrides"),
    [
        (README, "`trainer.epochs={}`", "trainer.epochs", []),
        (README, "`data.batch_size={}`", "data.batch_size", []),
        (README, "`optimizer.lr={}` (of `adam`)", "optimizer.lr", ["optimizer=adam"]),
        (README, "`seed={}`", "seed", []),
        (DOCS / "data.md", "`data.test_fraction` ({})", "data.test_fraction",
         ["data=image_folder", "data.root=flowers"]),
        (DOCS / "tracking.md", "`tracking.flush_seconds` ({})", "tracking.flush_seconds",
         ["tracking=mlflow"]),
    ],
)  # fmt: skip
def test_a_page_states_the_default_of_the_config(composed, file, sentence, key, overrides) -> None:
    value = OmegaConf.select(composed(*overrides, hydra=True), key)
    assert sentence.format(value) in file.read_text(encoding="utf-8")
