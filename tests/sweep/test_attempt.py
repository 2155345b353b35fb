from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from sweeper.errors import ConfigError
from sweeper.sweep import attempt
from sweeper.sweep.attempt import Attempt, first_seed, mean_verdict
from sweeper.sweep.budget import DEVIATION_KEY
from sweeper.sweep.verdict import Objectives, Verdict
from sweeper.trial import TrialInfo


def test_the_value_is_the_mean_of_the_seeds_with_its_deviation() -> None:
    verdict = mean_verdict([(1.0, 10.0), (2.0, 10.0), (3.0, 10.0)])
    assert verdict.values == (2.0, 10.0)
    assert verdict.user_attrs == {DEVIATION_KEY: [1.0, 0.0]}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"is not there; type \+seed=0"),
        ({"seed": "abc"}, "is abc; type seed=0"),
        ({"seed": True}, "is True"),
        ({"seed": 1.5}, "is 1.5"),
        ({"seed": None}, "is null; type seed=0"),
    ],
)
def test_the_first_seed_must_be_a_whole_number(config, message) -> None:
    with pytest.raises(ConfigError, match=message):
        first_seed(OmegaConf.create(config))


def test_the_first_seed_is_that_of_the_config() -> None:
    assert first_seed(OmegaConf.create({"base": 3, "seed": "${base}"})) == 3


def test_a_trial_that_another_worker_has_meanwhile_runs_no_further_seed(
    live, tmp_path, monkeypatch
) -> None:
    job = JobReturn(status=JobStatus.COMPLETED, _return_value=0.5)
    monkeypatch.setattr(attempt, "run_trial_job", lambda *_: job)
    composer, kept = live("x=interval(0,1)", "+seed=0").composer, []
    spec = SimpleNamespace(repeats=3, folder=tmp_path, own_process=False, objectives=Objectives(1))
    reporter = SimpleNamespace(
        info=TrialInfo("s", 0, 0, tmp_path / "0", {}),
        start_repeat=lambda *_: None,
        stop_reason=lambda: None,
    )
    # `keep` returns that the first seed is kept, and that the trial was lost before the second one.
    tried = Attempt(
        spec, None, None, composer, reporter, {"x": 0.5},
        keep=lambda values: kept.append(list(values)) or len(kept) < 2,
    )  # fmt: skip
    verdict = tried.run(composer.compose({"x": 0.5}, 0, tmp_path), [])
    assert verdict == Verdict(None, reason="lost")
    assert kept == [[(0.5,)], [(0.5,), (0.5,)]]
