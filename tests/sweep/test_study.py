import re

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Transformer
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import create_trial

from sweeper.errors import ConfigError
from sweeper.space.space import parse_space
from sweeper.sweep.identity import StudyIdentity
from sweeper.sweep.study import (
    IDENTITY_KEY,
    compare_study,
    create_study,
    set_aside,
    set_folder_aside,
)

IDENTITY = StudyIdentity({"x": "Float(0, 1)"}, ("minimize",), ("steps=2",), {"data": "digits"})


def changed(**keys):
    return StudyIdentity(**{**vars(IDENTITY), **keys})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (changed(space={"x": "Float(0, 2)"}), r"space x: Float\(0, 1\) -> Float\(0, 2\)"),
        (changed(space={}), r"space x: .* -> none"),
        (changed(directions=("maximize",)), "direction: minimize -> maximize"),
        (changed(fixed=("steps=3",)), "steps=2 -> steps=3"),
        (changed(options={"data": "mnist"}), "option data: digits -> mnist"),
        (changed(settings={"repeats": 3}), "hydra.sweeper.repeats: none -> 3"),
    ],
)
def test_other_settings_under_the_same_name_are_refused(storage, other, message) -> None:
    create_study("s", storage, IDENTITY)
    create_study("s", storage, IDENTITY)
    with pytest.raises(ConfigError, match=message) as error:
        create_study("s", storage, other)
    assert "hydra.sweeper.study_name=NAME" in str(error.value)
    assert "hydra.sweeper.study=fresh" in str(error.value)
    assert other.short_hash() != IDENTITY.short_hash()


def test_a_study_of_another_program_is_used_if_its_direction_fits(storage) -> None:
    optuna.create_study(study_name="s", storage=storage)
    create_study("s", storage, IDENTITY)
    with pytest.raises(ConfigError):
        create_study("s", storage, changed(space={}))


def of_another_program(storage, **distributions: BaseDistribution) -> None:
    study = optuna.create_study(study_name="s", storage=storage)
    params = {
        name: d.low if hasattr(d, "low") else d.choices[0] for name, d in distributions.items()
    }
    study.add_trial(create_trial(params=params, distributions=distributions, value=1.0))


def searching(**distributions: BaseDistribution) -> StudyIdentity:
    return changed(space={name: distribution_to_json(d) for name, d in distributions.items()})


@pytest.mark.parametrize(
    ("there", "here", "difference"),
    [
        (
            {"lr": FloatDistribution(0, 1)},
            {"x": FloatDistribution(-5, 5)},
            "space lr: interval(0.0, 1.0) -> none; space x: none -> interval(-5.0, 5.0)",
        ),
        (
            {"opt": CategoricalDistribution(["adam", "sgd"])},
            {"opt": CategoricalDistribution(["adam", "sgd", "rmsprop"])},
            "space opt: adam,sgd -> adam,sgd,rmsprop",
        ),
        (
            {"x": FloatDistribution(0.1, 1)},
            {"x": FloatDistribution(0.1, 1, log=True)},
            "space x: interval(0.1, 1.0) -> tag(log, interval(0.1, 1.0))",
        ),
    ],
)
def test_trials_of_another_program_that_do_not_fit_are_named_before_the_first_trial(
    storage, there, here, difference, refuses
) -> None:
    of_another_program(storage, **there)
    with refuses(ConfigError, re.escape(f"exists with other settings ({difference})")) as caught:
        create_study("s", storage, searching(**here), "sqlite:///s.db")
    advice = "\"hydra.sweeper.enqueue_from='sqlite:///s.db s'\" begins with its best points"
    assert (advice in str(caught.value)) == bool(there.keys() & here.keys())
    assert len(storage.get_all_trials(0)) == 1


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({"x": FloatDistribution(0, 1)}, {"x": FloatDistribution(-5, 5)}),
        (
            {"x": FloatDistribution(0, 1)},
            {"x": FloatDistribution(0, 1), "y": IntDistribution(1, 2)},
        ),
        ({"m.k": IntDistribution(1, 3)}, {"m.k@cnn": IntDistribution(1, 5)}),
    ],
)
def test_trials_of_another_program_that_fit_are_continued(storage, there, here) -> None:
    of_another_program(storage, **there)
    create_study("s", storage, searching(**here))


def test_a_name_of_another_program_does_not_break_the_line(storage) -> None:
    unit = FloatDistribution(0, 1)
    of_another_program(storage, **{"l\nr": unit})
    with pytest.raises(ConfigError, match="space l r: ") as refused:
        create_study("s", storage, searching(x=unit))
    assert "\n" not in str(refused.value)


def test_a_function_of_ones_own_may_suggest_what_another_program_did(storage) -> None:
    of_another_program(storage, w=FloatDistribution(0, 1))
    settings = {"custom_search_space": "mine.configure"}
    create_study("s", storage, changed(space={}, settings=settings))


@pytest.mark.parametrize("choices", ["null,a", "choice(true,1.5)", "a,3", "choice(b/c,.1)"])
def test_choices_are_stored_as_the_official_plugin_stores_them(choices) -> None:
    override = OverridesParser.create().parse_override(f"x={choices}")
    official = [*override.sweep_iterator(transformer=Transformer.encode)]
    assert parse_space([f"x={choices}"]).parameters["x"].values == tuple(official)


def test_a_study_that_another_command_creates_just_now_is_shared(storage, monkeypatch) -> None:
    create_study("s", storage, IDENTITY)
    reads = iter([[], storage.get_all_studies()])
    monkeypatch.setattr(storage, "get_all_studies", lambda: next(reads))
    create_study("s", storage, IDENTITY)
    assert not list(reads)


def test_a_changed_file_is_refused_although_the_command_is_the_same(storage) -> None:
    create_study("s", storage, changed(values={"y": "0"}))
    other = changed(values={"y": "5"})
    assert other.short_hash() == IDENTITY.short_hash()
    with pytest.raises(ConfigError, match=r"other settings \(y: 0 -> 5\)"):
        create_study("s", storage, other)


def test_a_study_of_an_earlier_version_learns_the_values_of_its_config(storage) -> None:
    create_study("s", storage, IDENTITY)
    create_study("s", storage, changed(values={"y": "0"}))
    [study] = storage.get_all_studies()
    assert study.user_attrs[IDENTITY_KEY]["config y"] == "0"


def test_a_key_that_only_a_later_command_names_cannot_grow(storage) -> None:
    create_study("s", storage, changed(values={"y": "2"}))
    create_study("s", storage, changed(values={"y": "2"}, growing=("y",)))
    with pytest.raises(ConfigError, match=r"y: 2 -> 3, which hydra\.sweeper\.growing did not"):
        create_study("s", storage, changed(values={"y": "3"}, growing=("y",)))


def test_a_study_set_aside_gets_the_time_as_part_of_its_name(storage, tmp_path) -> None:
    create_study("s", storage, IDENTITY)
    for name in ("s", "other"):  # a folder without a study stays where it is
        (tmp_path / name).mkdir()
    (tmp_path / "s" / "study.yaml").touch()
    assert set_folder_aside(tmp_path / "other") is None
    set_aside("s", storage, tmp_path / "s")
    create_study("s", storage, changed(space={}))
    names = sorted(s.study_name for s in storage.get_all_studies())
    assert names[0] == "s"
    assert names[1].startswith("s.")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", names[1]]


def test_a_study_is_compared_without_a_change(storage) -> None:
    with pytest.raises(ConfigError, match="study s does not exist"):
        compare_study("s", storage, IDENTITY)
    assert not storage.get_all_studies()
    create_study("s", storage, changed(values={"y": "0"}))
    compare_study("s", storage, changed(values={"y": "0"}))
    with pytest.raises(ConfigError, match=r"have changed since it was started \(y: 0 -> 5\)"):
        compare_study("s", storage, changed(values={"y": "5"}))
    [study] = storage.get_all_studies()
    assert study.user_attrs[IDENTITY_KEY]["config y"] == "0"
