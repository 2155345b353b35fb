import optuna
import pytest

from sweeper.sweep.promotion import Promotion
from sweeper.sweep.promotion_pruner import PromotionPruner


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"reduction_factor": 1}, "reduction_factor"),
        ({"finish": 0}, "finish"),
        ({"min_resource": 0}, "min_resource"),
        ({"min_resource": float("nan")}, "min_resource"),
        ({"min_resource": "half"}, "min_resource"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, named) -> None:
    with pytest.raises(ValueError, match=named):
        PromotionPruner(**arguments)


def test_the_rule_has_the_arguments() -> None:
    rule = PromotionPruner(4, 0.5, 3).rule(maximize=True, pauses=False)
    assert rule == Promotion(4, 0.5, 3, maximize=True, pauses=False)
    assert PromotionPruner().rule(maximize=False).min_resource is None


def test_under_optunas_own_loop_it_prunes_like_the_median_pruner() -> None:
    def pruned(pruner):
        study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(seed=0))

        def objective(trial):
            x = trial.suggest_float("x", 0, 1)
            for step in range(3):
                trial.report(x, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return x

        study.optimize(objective, n_trials=12)
        return [t.state for t in study.trials]

    assert pruned(PromotionPruner()) == pruned(optuna.pruners.MedianPruner())
    assert optuna.trial.TrialState.PRUNED in pruned(PromotionPruner())
