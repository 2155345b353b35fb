"""The default values that the pages state in their sentences are those of the code."""

from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from sweeper.hydra_settings import StudySweeperConf
from sweeper.sweep.database import OUTAGE_SECONDS
from sweeper.sweep.elsewhere.sources import DEFAULT_N
from sweeper.sweep.guard import GRACE_SECONDS
from sweeper.sweep.settings.study_settings import DEFAULT_FAILURE_RATE, DEFAULT_N_TRIALS
from sweeper.training.report import MIN_IMAGES

DOCS = Path(__file__).parents[2] / "docs"
WORDS = {0.5: "half", 5: "five"}
OFFICIAL = "coming_from_hydra_optuna_sweeper.md"


def tpe() -> DictConfig:
    Plugins.instance()
    return ConfigStore.instance().load("hydra/sweeper/sampler/tpe.yaml").node


@pytest.mark.parametrize(
    ("page", "sentence", "value"),
    [
        (OFFICIAL, "number of trials; {} if nothing else ends the study", DEFAULT_N_TRIALS),
        (OFFICIAL, "when more than {} of its trials have failed", WORDS[DEFAULT_FAILURE_RATE]),
        (OFFICIAL, "`hydra.sweeper.finalist_seeds`, {})", StudySweeperConf.finalist_seeds),
        ("sweeps.md", "with `hydra.sweeper.finalist_seeds` ({})", StudySweeperConf.finalist_seeds),
        ("sweeps.md", "TPE draws the best of {} candidates", tpe()["n_ei_candidates"]),
        ("sweeps.md", "but not before {} training images", f"{MIN_IMAGES:,}"),
        ("sweeps.md", "tries the {} best points of another study first", WORDS[DEFAULT_N]),
        ("distributed.md", "Workers wait up to {} minutes", WORDS[OUTAGE_SECONDS / 60]),
        ("own.md", "for {} seconds after `trial_timeout`", f"{GRACE_SECONDS['trial_timeout']:g}"),
        ("own.md", "for {} seconds after `timeout`", f"{GRACE_SECONDS['timeout']:g}"),
    ],
)
def test_a_page_states_the_default_of_the_code(page, sentence, value) -> None:
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    assert sentence.format(value) in text


def test_tpe_is_multivariate_with_constant_liar_by_default() -> None:
    assert "`tpe` is multivariate with constant liar by default" in (DOCS / OFFICIAL).read_text()
    assert (tpe()["multivariate"], tpe()["constant_liar"]) == (True, True)
