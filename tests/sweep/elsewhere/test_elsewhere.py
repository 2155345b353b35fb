import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.space.space import Space
from sweeper.sweep.budget import Budget
from sweeper.sweep.elsewhere.elsewhere import Elsewhere
from sweeper.sweep.elsewhere.sources import Source
from sweeper.sweep.identity import METRIC
from sweeper.sweep.spec import SamplerRecipe, StudySpec
from sweeper.sweep.storage import JOURNAL, open_storage
from sweeper.sweep.study import IDENTITY_KEY


@pytest.fixture
def take(tmp_path, live):
    """Return a function that takes from a study whose metric and direction it is given."""

    def take_from(metric, direction="minimize", use="trials"):
        place = tmp_path / JOURNAL
        storage = open_storage(str(place), tmp_path)
        other = optuna.create_study(study_name="other", storage=storage, direction=direction)
        if metric is not None:
            other.set_user_attr(IDENTITY_KEY, {METRIC: metric})
        distribution = optuna.distributions.IntDistribution(0, 5)
        trial = optuna.trial.create_trial(
            params={"x": 1}, distributions={"x": distribution}, value=1.0
        )
        other.add_trial(trial)
        recipes = SamplerRecipe(optuna.samplers.RandomSampler), optuna.pruners.NopPruner
        spec = StudySpec("s", tmp_path / "s", Space(), Budget(4), *recipes)
        own = Elsewhere(live("x=int(interval(0,5))"), spec, ("minimize",), ["val/loss"])
        return own.take([Source(f"{place} other", None, use)])

    return take_from


@pytest.mark.parametrize("metric", ["val/loss", None])
def test_trials_with_the_metric_of_this_study_or_an_unknown_one_are_taken(take, metric) -> None:
    assert len(take(metric).trials) == 1


@pytest.mark.parametrize(
    ("metric", "direction", "message"),
    [
        ("train/loss", "minimize", "needs the metric of this study, val/loss, not train/loss"),
        ("val/loss", "maximize", "needs the directions of this study, minimize, not maximize"),
    ],
)
def test_trials_whose_values_mean_something_else_are_refused(
    take, metric, direction, message
) -> None:
    with pytest.raises(ConfigError, match=f"{message}; type use: points"):
        take(metric, direction)


def test_points_are_taken_whatever_their_metric_was(take) -> None:
    assert take("train/loss", use="points").points == [{"x": 1}]
