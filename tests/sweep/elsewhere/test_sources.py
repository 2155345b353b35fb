import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.elsewhere.sources import Source, read_sources


@pytest.mark.parametrize(
    ("value", "sources"),
    [
        (None, ()),
        ([], ()),
        ("multirun/a", (Source("multirun/a"),)),
        (["a", {"from": "b", "n": 2}], (Source("a"), Source("b", 2))),
        ({"from": "a", "use": "trials"}, (Source("a", None, "trials"),)),
        ({"from": "a", "use": "trials", "n": 9}, (Source("a", 9, "trials"),)),
        ({"from": "mlflow:a", "metric": "m"}, (Source("mlflow:a", metric=("m",)),)),
        ("'a b'", (Source("a b"),)),
    ],
)
def test_a_value_is_one_source_or_several_with_options(value, sources) -> None:
    assert read_sources(value) == sources


@pytest.mark.parametrize(
    ("place", "study"),
    [
        ("multirun/my study", None),
        ("sqlite:///x.db a", ("sqlite:///x.db", "a")),
        ("sqlite:///x.db", ("sqlite:///x.db", None)),
        ("postgresql://me:p@h/db my study", ("postgresql://me:p@h/db", "my study")),
        ("my folder/journal.log a", ("my folder/journal.log", "a")),
    ],
)
def test_a_study_is_in_a_folder_or_in_a_storage(place, study) -> None:
    assert Source(place).stored_study == study


@pytest.mark.parametrize(
    ("place", "experiment"),
    [
        ("mlflow:digits", ("digits", None)),
        ("mlflow:a@b", ("a@b", None)),
        ("mlflow:my exp@http://h:5000", ("my exp", "http://h:5000")),
        ("mlflow:a@postgresql://me:p@h/db", ("a", "postgresql://me:p@h/db")),
        ("mlflow:a@databricks", ("a", "databricks")),
    ],
)
def test_an_experiment_is_at_the_tracking_uri_in_use_or_at_its_own(place, experiment) -> None:
    assert Source(place).is_mlflow
    assert Source(place).experiment == experiment


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"enqueue_from=3: must be a study's folder"),
        (" ", "must be a study's folder"),
        ("mlflow:", "must be a study's folder"),
        ([["a"]], "must be a study's folder"),
        ({"n": 1}, "must be a study's folder"),
        ({"from": "a", "m": 1}, "without m"),
        ({"from": "a", "n": 0}, r"enqueue_from\.n=0: must be a number of at least 1"),
        ({"from": "a", "use": "all"}, "must be points or trials"),
        ({"from": "a", "metric": []}, "the name of a metric"),
    ],
)
def test_a_value_that_names_no_source_is_refused(value, message, refuses) -> None:
    with refuses(ConfigError, message):
        read_sources(value)


@pytest.mark.parametrize("value", [3, {"from": "a", "m": 1}, {"from": "a", "n": 0}])
def test_what_to_type_can_be_pasted_into_a_shell(value, pasted) -> None:
    with pytest.raises(ConfigError) as error:
        read_sources(value)
    assert read_sources(pasted(error.value).value())[0].place == "multirun/NAME"


def test_a_password_is_not_shown() -> None:
    source = Source("postgresql://me:hunter2hunter@h/db a")
    assert "hunter2" not in f"{source} {source.refused(source.place)}"
