import logging

import optuna
import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from sweeper.errors import ConfigError, ShapeError
from sweeper.space.check_options import check_options, verifying
from sweeper.space.live import config_key, suggest


@pytest.fixture
def storage() -> BaseStorage:
    return InMemoryStorage()


def names(live, **params):
    return {p.name for p in live.parameters(params).values()}


def test_without_auto_only_the_overrides_are_swept(live) -> None:
    assert names(live("shape=sphere,plane"), shape="plane") == {"shape"}


def test_only_the_chosen_options_search_block_is_live(live) -> None:
    space = live("shape=sphere,plane", auto=True)
    assert names(space, shape="sphere") == {"shape", "shape.radius", "shape.size@sphere"}
    assert names(space, shape="plane") == {"shape", "shape.tilt", "shape.size@plane"}


def test_a_fixed_options_search_block_is_live_under_its_keys(live) -> None:
    assert names(live("shape=plane")) == {"shape.tilt", "shape.size"}


@pytest.mark.parametrize(
    ("value", "added"),
    [("'interval(0,1)'", {"shape.x"}), ("{y:'1,2'}", {"shape.x.y"}), ("null", set())],
)
def test_a_search_block_may_be_nested_and_null_is_not_searched(live, value, added) -> None:
    space = live("shape=plane", f"+shape.search.x={value}", auto=True)
    assert names(space) == {"shape.tilt", "shape.size", *added}


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("[32,64]", 'x=[32,64]: is one value; type "choice(32,64)"'),
        ("1e-4..1e-1", "x=1e-4..1e-1: is no sweep as it stands; type 'shape.x=interval("),
        ("0.5", "x=0.5: is one value; type a sweep, such as choice(1,2)"),
    ],
)
def test_a_value_in_a_search_block_that_is_no_sweep_is_refused(live, value, advice) -> None:
    space = live("shape=plane", f"+shape.search.x={value}", auto=True)
    with pytest.raises(ConfigError) as caught:
        space.parameters({})
    assert str(caught.value).startswith(f"search block: shape.{advice}")


@pytest.mark.parametrize("line", ["shape.tilt=0.1", "shape.tilt=interval(0,9)"])
def test_an_override_replaces_the_search_blocks_sweep(live, line) -> None:
    parameters = live("shape=plane", line, auto=True).parameters({})
    assert "shape.tilt" not in parameters or parameters["shape.tilt"].distribution.high == 9


def test_stored_values_are_returned_by_their_keys(live) -> None:
    space = live("shape=sphere,plane", auto=True)
    stored = {"shape": "plane", "shape.tilt": 0.5, "shape.size@plane": 3}
    keys = {"shape": "plane", "shape.tilt": 0.5, "shape.size": 3}
    assert space.by_key(stored) == keys


def test_the_description_has_every_options_parameters(live) -> None:
    space = live("shape=sphere,plane", auto=True).describe()
    blocks = {"shape.radius", "shape.tilt", "shape.size@sphere", "shape.size@plane"}
    assert set(space) == {"shape", *blocks}


@pytest.mark.parametrize("lines", [["shape=sphere,cube"], ["y=1,2"], ["shape.radius=1", "y=1,2"]])
def test_an_override_that_does_not_compose_is_refused(live, lines) -> None:
    with pytest.raises(ConfigError, match=r"cube|'y'"):
        check_options(live(*lines))


def test_a_key_of_one_option_does_not_compose_with_the_others(live) -> None:
    with pytest.raises(ConfigError, match=r"shape\.tilt"):
        check_options(live("shape=sphere,plane", "shape.tilt=1,2"))


def test_a_trial_whose_folder_cannot_be_resolved_is_refused(live) -> None:
    with pytest.raises(ConfigError, match=r"hydra\.sweep\.subdir: .*'nokey' not found"):
        check_options(live("x=1,2", "hydra.sweep.subdir=${nokey}"), has_own_hosts=True)
    elsewhere = live("x=1,2", "hydra.sweep.subdir=${oc.env:NO_SUCH_JOB}_${hydra.job.num}")
    check_options(elsewhere, has_own_hosts=True)
    with pytest.raises(ConfigError, match="'NO_SUCH_JOB' not found"):
        check_options(elsewhere)


def test_a_config_that_verify_refuses_is_listed_with_its_point(live) -> None:
    def refuse(config):
        if config.shape.get("tilt"):
            raise ShapeError("nothing is left of the image")

    with pytest.raises(ConfigError) as error:
        check_options(live("shape=sphere,plane"), verifying(refuse))
    assert str(error.value) == "shape=plane: nothing is left of the image"


@pytest.mark.parametrize(
    ("sweep", "typed"),
    [
        ("interval(1,8)", "'x=int(interval(1,8))'"),
        ("tag(log,interval(1,8))", "'x=tag(log,int(interval(1,8)))'"),
    ],
)
def test_an_interval_of_a_key_that_takes_whole_numbers_is_refused_with_the_right_one(
    live, sweep, typed
) -> None:
    def refuse_fractions(config):
        if config.x != int(config.x):
            raise ConfigError(f"x={config.x}: expected a valid integer")

    with pytest.raises(ConfigError) as error:
        check_options(live(f"x={sweep}", "steps=1,2"), verifying(refuse_fractions))
    assert str(error.value).endswith(f": x=1.5: expected a valid integer; type {typed}")


def test_an_interval_that_its_key_does_not_take_at_all_is_not_advised_as_whole_numbers(
    live,
) -> None:
    def refuse(config):
        raise ConfigError(f"x={config.x}: must be below 1")

    with pytest.raises(ConfigError, match=r"must be below 1$"):
        check_options(live("x=interval(1,8)"), verifying(refuse))


def ask(storage, seed=0):
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=seed))
    return study, study.ask()


def test_overrides_are_suggested_first_then_the_chosen_options_block(live, storage) -> None:
    space = live("shape=sphere,plane", "x=interval(0,5)", auto=True)
    _, trial = ask(storage)
    params = suggest(trial, space)
    blocks = {"sphere": ["shape.radius", "shape.size"], "plane": ["shape.tilt", "shape.size"]}
    assert list(params) == ["shape", "x", *blocks[params["shape"]]]


def test_a_retried_trial_keeps_its_parameters(live, storage) -> None:
    space = live("x=interval(0,5)", "steps=range(1,9)")
    study, trial = ask(storage)
    trial.suggest_float("x", 0, 5)
    retry = optuna.Trial(study, trial._trial_id)
    assert suggest(retry, space)["x"] == study.trials[0].params["x"]


def test_an_enqueued_value_is_not_sampled(live, storage) -> None:
    study, _ = ask(storage)
    study.enqueue_trial({"x": 2.0})
    params = suggest(study.ask(), live("x=interval(0,5)", "steps=range(1,9)"))
    assert params["x"] == 2.0


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("lr", "lr"),
        ("model.kernel_size", "model.kernel_size"),
        ("model.kernel_size@lenet", "model.kernel_size"),
        ("model.kernel_size@a@b,c.d", "model.kernel_size"),
        ("+net.size@lenet", "+net.size"),
        ("db@src", "db@src"),
        ("a/db@src.inner", "a/db@src.inner"),
        ("src.size@mysql", "src.size"),
    ],
)
def test_an_option_behind_a_name_is_no_part_of_the_key(name, key) -> None:
    assert config_key(name) == key


def test_what_several_configs_say_is_logged_once(live, caplog) -> None:
    log = logging.getLogger("of the check")

    def verify(config):
        log.warning("images are enlarged")

    check_options(live("shape=sphere,plane"), verifying(verify))
    log.warning("images are enlarged")
    assert caplog.messages == ["images are enlarged"] * 2  # of the check, and after it
