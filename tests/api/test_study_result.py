"""Studies that are loaded from their folder and their storage."""

import os
import sys
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

import sweeper
from sweeper.cli.overrides import quoted
from sweeper.cli.program import program
from sweeper.errors import ConfigError
from sweeper.secrets import masked_uri
from sweeper.sweep.budget import FAILURE_KEY, IMPORTED_KEY, SURPLUS, THREADS_KEY
from sweeper.sweep.command import STARTS_STUDY_KEY, StudyCommand, recorded_command
from sweeper.sweep.identity import FULL_GRID, OVERRIDE
from sweeper.sweep.storage import open_storage
from sweeper.sweep.storage_place import absolute
from sweeper.sweep.study import IDENTITY_KEY, set_aside, set_folder_aside
from sweeper.sweep.verdict import DUPLICATE_KEY

SPACE = {"x": FloatDistribution(0, 9)}


def trial(*values: float, state: TrialState = TrialState.COMPLETE, **user_attrs):
    return create_trial(
        state=state, values=values or None, params={"x": 1.0}, distributions=SPACE,
        user_attrs=user_attrs,
    )  # fmt: skip


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Return a function that writes a study `s` to multirun/s, and goes to another folder."""

    def write(
        *trials,
        storage: str | None = None,
        n_objectives: int = 1,
        best: str = "null",
        program: tuple[str, ...] = ("app.py",),
    ):
        folder, uri = tmp_path / "multirun/s", storage and absolute(storage, tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        opened = open_storage(uri, folder)
        directions = ["minimize"] * n_objectives
        created = optuna.create_study(study_name="s", storage=opened, directions=directions)
        created.add_trials(trials)
        monkeypatch.chdir(tmp_path)
        StudyCommand("s", storage, program, (), str(tmp_path)).write(created, folder)
        (folder / "multirun.yaml").write_text(f"hydra: {{sweeper: {{best: {best}}}}}")
        (tmp_path / "away").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "away")
        return folder

    return write


@pytest.mark.parametrize("storage", [None, "sqlite:///x.db", "sqlite:///file:x.db?uri=true",
                                     "logs/x.log"])  # fmt: skip
def test_a_study_is_loaded_from_any_folder(study, storage) -> None:
    folder = study(trial(3.0), storage=storage)
    assert sweeper.Study.load(folder).best.value == 3.0
    assert sweeper.Study.load(os.path.relpath(folder)).best.value == 3.0
    assert list(Path().iterdir()) == []


def test_to_load_a_study_changes_nothing_of_the_process_for_a_call_of_another_thread(
    study, monkeypatch
) -> None:
    before, seen = (list(sys.argv), program()), []

    def looked(line: str) -> str:
        seen.append((list(sys.argv), program()))
        return masked_uri(line)

    monkeypatch.setattr("sweeper.sweep.results.ended_trial.masked_uri", looked)
    best = sweeper.Study.load(study(trial(3.0), program=("mine.py",))).best
    assert best.command.endswith("python mine.py x=1.0")
    assert seen == [before]


def test_a_trial_without_files_keeps_what_its_study_was_told(study) -> None:
    folder = study(trial(3.0))
    (folder / "multirun.yaml").write_text("hydra: {sweeper: {steering: [tags]}}")
    told = optuna.load_study(study_name="s", storage=open_storage(None, folder))
    lines = {"data": "data=mnist", "+tags.a": "+tags.a=b", "x": "x=5", FULL_GRID: FULL_GRID}
    record = {f"{OVERRIDE}{key}": line for key, line in lines.items()}
    told.set_user_attr(IDENTITY_KEY, record | {"option model": "cnn"})
    told.set_user_attr(STARTS_STUDY_KEY, True)
    best = sweeper.Study.load(folder).best
    assert best.overrides == ("data=mnist", "x=1.0")
    assert best.command.endswith(" app.py data=mnist x=1.0 hydra.mode=RUN")


@pytest.mark.parametrize(("number", "added"), [("null", ["trainer.threads=7"]), ("3", [])])
def test_the_command_has_the_threads_of_the_trial_unless_its_config_has(
    study, number, added
) -> None:
    folder = study(trial(3.0, **{THREADS_KEY: "7"}), program=("-m", "sweeper"))
    (folder / "0").mkdir()
    (folder / "0/overrides.yaml").write_text("[x=1.0]")
    (folder / "0/config.yaml").write_text(f"trainer: {{threads: {number}}}")
    assert sweeper.Study.load(folder).best.overrides == ("x=1.0", *added)


@pytest.mark.parametrize(("number", "added"), [("null", ["trainer.threads=7"]), ("3", [])])
def test_a_trial_without_files_has_the_threads_of_its_study(study, number, added) -> None:
    folder = study(trial(3.0, **{THREADS_KEY: "7"}), program=("-m", "sweeper"))
    (folder / "multirun.yaml").write_text(f"trainer: {{threads: {number}}}")
    assert sweeper.Study.load(folder).best.overrides == ("x=1.0", *added)


def test_the_command_of_several_seeds_has_the_first(study) -> None:
    folder = study(trial(3.0))
    for seed in (10, 9):
        (folder / f"0/seed-{seed}").mkdir(parents=True)
        (folder / f"0/seed-{seed}/overrides.yaml").write_text(f"[x=1.0, seed={seed}]")
    assert sweeper.Study.load(folder).best.command.endswith(" x=1.0 seed=9")


def test_a_study_without_trials_has_an_empty_table(study) -> None:
    table = sweeper.Study.load(study()).trials
    assert len(table) == 0
    assert {"number", "value", "state"} <= {*table.columns}


@pytest.mark.parametrize("storage", [None, "sqlite:///x.db", "logs/x.log"])
def test_a_storage_that_is_gone_is_refused_and_not_created(study, refuses, storage) -> None:
    folder = study(storage=storage)
    (file,) = (
        p for p in folder.parents[1].rglob("*") if p.name in ("x.db", "x.log", "journal.log")
    )
    file.unlink()
    with refuses(ConfigError, f"there is no file .*{file.name}"):
        sweeper.Study.load(folder)
    with refuses(ConfigError, r"there is no file .*away/y\.db"):
        sweeper.Study.load(folder, storage="sqlite:///y.db")
    assert not file.exists()
    assert list(Path().iterdir()) == []


def test_a_study_that_its_storage_does_not_have_is_refused(study, refuses) -> None:
    folder = study(storage="sqlite:///x.db")
    optuna.delete_study(study_name="s", storage=f"sqlite:///{folder.parents[1]}/x.db")
    with refuses(ConfigError, r"x\.db has no study s; choose from none"):
        sweeper.Study.load(folder)


def test_a_study_that_was_moved_away_is_loaded_as_it_was(study) -> None:
    folder, url = study(trial(3.0), storage="sqlite:///x.db"), "sqlite:///../x.db"
    set_aside("s", open_storage(url, Path()), folder)
    study(trial(5.0), storage="sqlite:///x.db")
    (moved,) = folder.parent.glob("s.*")
    assert (sweeper.Study.load(moved).name, sweeper.Study.load(moved).best.value) == (moved.name, 3)
    assert sweeper.Study.load(folder).best.value == 5.0
    record = optuna.load_study(study_name=moved.name, storage=url).user_attrs["sweeper:command"]
    assert record["study"] == moved.name


def test_a_journal_that_was_moved_away_keeps_its_name(study) -> None:
    folder = study(trial(3.0))
    moved = set_folder_aside(folder)
    study(trial(5.0))
    assert [sweeper.Study.load(f).best.value for f in (moved, folder)] == [3.0, 5.0]
    assert sweeper.Study.load(moved).name == "s"


@pytest.mark.parametrize("storage", ["sqlite:///multirun/s/x.db?timeout=9", "multirun/s/x.log"])
def test_a_storage_in_the_folder_of_its_study_is_moved_away_with_it(study, storage) -> None:
    folder = study(trial(3.0), storage=storage)
    part = folder / "explain/0"
    part.mkdir(parents=True)
    (part / "study.yaml").write_text((folder / "study.yaml").read_text())
    moved = set_folder_aside(folder)
    study(trial(5.0), storage=storage)
    assert [sweeper.Study.load(f).best.value for f in (moved, folder)] == [3.0, 5.0]
    for each in (moved, moved / "explain/0"):
        command = recorded_command(each)
        assert command.storage == storage.replace("multirun/s", str(moved))
        assert command.arguments[-1].endswith(quoted(command.storage))


def test_the_table_has_the_studys_own_trials(study) -> None:
    failed = TrialState.FAIL
    folder = study(
        trial(1.0, **{IMPORTED_KEY: "other"}), trial(2.0, accuracy=0.5),
        trial(state=failed, **{FAILURE_KEY: SURPLUS}), trial(state=failed, **{DUPLICATE_KEY: 1}),
        trial(state=failed, **{FAILURE_KEY: "it broke"}),
    )  # fmt: skip
    table = sweeper.Study.load(folder).trials
    assert table["number"].tolist() == [1, 4]
    assert table.index.tolist() == [0, 1]
    notes = [name for name in table.columns if name.startswith("user_attrs")]
    assert notes == ["user_attrs_accuracy", "user_attrs_failure"]


@pytest.mark.parametrize(
    ("best", "expected"), [("knee", (1.0, 1.0)), ("1", (9.0, 0.0)), ("loss", (0.0, 9.0))]
)
def test_the_best_of_several_objectives_is_the_one_that_the_command_chose(
    study, best, expected
) -> None:
    points = [(0.0, 9.0), (1.0, 1.0), (9.0, 0.0)]
    trials = [create_trial(values=v, params={"x": v[0]}, distributions=SPACE) for v in points]
    folder = study(*trials, n_objectives=2, best=best)
    record = {"config hydra.sweeper.metric": "loss, n_parameters"}
    sweeper.Study.load(folder).optuna.set_user_attr(IDENTITY_KEY, record)
    loaded = sweeper.Study.load(folder)
    assert [t.values for t in loaded.front] == points
    assert loaded.best.values == expected


@pytest.mark.parametrize("best", ["null", "${best}", "accuracy"])
def test_several_objectives_without_a_choice_have_no_best_trial(study, refuses, best) -> None:
    folder = study(trial(1.0, 2.0), n_objectives=2, best=best)
    with refuses(ConfigError, r"study\.front, or add hydra\.sweeper\.best=knee"):
        _ = sweeper.Study.load(folder).best


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_a_study_without_a_complete_trial_has_no_best_one(study, refuses, n_objectives) -> None:
    folder = study(trial(state=TrialState.FAIL), n_objectives=n_objectives, best="knee")
    with refuses(ConfigError, "has no complete trial"):
        _ = sweeper.Study.load(folder).best


@pytest.mark.parametrize(
    ("name", "stored", "key", "value"),
    [
        ("hidden", "[16,32]", "hidden", [16, 32]),
        ("net.size@lenet", "[[1,2],a]", "net.size", [[1, 2], "a"]),
        ("db@src", "mysql", "db@src", "mysql"),
        ("limit", "null", "limit", None),
        ("text", "'3'", "text", "3"),
        ("flag", "1.0", "flag", 1.0),
        ("lr", 0.1, "lr", 0.1),
        ("free", "a, b", "free", "a, b"),
        ("free", "a=b", "free", "a=b"),
    ],
)
def test_params_are_the_values_of_the_config(study, name, stored, key, value) -> None:
    space = {name: CategoricalDistribution([stored])}
    folder = study(create_trial(value=1.0, params={name: stored}, distributions=space))
    best = sweeper.Study.load(folder).best
    assert best.params == {key: value}
    assert best.overrides == (f"{key}={stored}",)
