import pytest
from optuna.pruners import MedianPruner, PatientPruner

from sweeper.errors import ConfigError
from sweeper.secrets import VARIABLE
from sweeper.sweep.settings.nodes import built, checked_node, instantiated

TPE = {"_target_": "optuna.samplers.TPESampler"}
PATIENT = {"_target_": "optuna.pruners.PatientPruner", "patience": 2}
pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::optuna.exceptions.ExperimentalWarning"
)
MEDIAN = {"_target_": "optuna.pruners.MedianPruner", "n_min_trials": 2}


@pytest.mark.parametrize(
    ("key", "node", "message"),
    [
        ("sampler", {**TPE, "lr": 1}, "has no key lr; choose one of .*seed"),
        (
            "sampler",
            {**TPE, "n_startup": 1},
            "has no key n_startup; did you mean n_startup_t",
        ),
        ("sampler", {**TPE, "seed": "a"}, ".seed=a: expected a valid integer"),
        ("sampler", {**TPE, "multivariate": 3}, ".multivariate=3: expected true or false"),
        ("sampler", {"_target_": "no.such"}, "_target_ no.such is not found .* choose one with"),
        ("sampler", {"_target_": None}, "_target_ None is not found"),
        (
            "pruner",
            {**PATIENT, "wrapped_pruner": {**MEDIAN, "foo": 1}},
            "wrapped_pruner has no key",
        ),
    ],
)
def test_an_argument_that_does_not_suit_the_target_is_refused(key, node, message) -> None:
    with pytest.raises(ConfigError, match=f"^hydra.sweeper.{key}.*{message}") as error:
        checked_node(key, node)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "node",
    [
        {**TPE, "_partial_": True, "group": None, "seed": None, "consider_magic_clip": True},
        {**TPE, "gamma": {"_target_": "hydra.utils.get_method", "path": "builtins.abs"}},
        {**PATIENT, "wrapped_pruner": MedianPruner()},
        {"_target_": "builtins.dict", "anything": 1},
    ],
)
def test_an_argument_that_suits_the_target_is_accepted(node) -> None:
    instantiated("sampler", checked_node("sampler", node))


@pytest.mark.parametrize("inner", [MEDIAN, MedianPruner(n_min_trials=2)])
def test_a_node_may_hold_a_node_or_an_object(inner) -> None:
    pruner = instantiated("pruner", {**PATIENT, "wrapped_pruner": inner})
    assert isinstance(pruner, PatientPruner)
    assert pruner._wrapped_pruner._n_min_trials == 2


def test_an_object_stands_in_place_of_each_node_of_a_list() -> None:
    first, second = built("observers", [{"_target_": "builtins.dict", "a": 1}, 2])
    assert (first, second) == ({"a": 1}, 2)


def test_a_password_that_was_taken_out_reaches_the_target(monkeypatch) -> None:
    monkeypatch.setenv(f"{VARIABLE}X", "s3cret")
    node = {"_target_": "builtins.dict", "a": f"x://me:${{oc.env:{VARIABLE}X}}@host"}
    assert instantiated("storage", node) == {"a": "x://me:s3cret@host"}


def test_a_refusal_of_the_target_names_the_arguments_to_change() -> None:
    with pytest.raises(ConfigError, match=r"type hydra.sweeper.pruner.lower=VALUE or .*upper=VAL"):
        instantiated("pruner", {"_target_": "optuna.pruners.ThresholdPruner"})
