"""The record of a study's command, in its folder and in its storage."""

import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.command import StudyCommand, recorded_command, worker_command
from sweeper.sweep.storage import open_storage
from sweeper.sweep.study import set_aside


@pytest.fixture
def recorded(tmp_path):
    """Return a function that writes the record of a study `s` to a folder."""

    def write(storage: str | None, in_storage: optuna.storages.BaseStorage):
        study = optuna.create_study(study_name="s", storage=in_storage)
        folder = tmp_path / "s"
        folder.mkdir()
        StudyCommand("s", storage, ("app.py",), ("x=1,2",), str(tmp_path)).write(study, folder)
        return folder

    return write


@pytest.mark.parametrize("has_journal", [True, False])
def test_a_folder_set_aside_names_the_study_that_was_set_aside(
    recorded, storage, has_journal
) -> None:
    folder = recorded(None if has_journal else "redis://host", storage)
    if has_journal:  # of an earlier study in this folder, which keeps its name
        (folder / "journal.log").touch()
    set_aside("s", storage, folder)
    (moved,) = folder.parent.iterdir()
    assert recorded_command(moved).study == ("s" if has_journal else moved.name)
    [study] = storage.get_all_studies()
    assert study.user_attrs["sweeper:command"]["study"] == moved.name


def test_the_studies_of_ablations_are_set_aside_with_their_study(recorded, storage) -> None:
    folder = recorded("redis://host", storage)
    others = ["s-explain-me", "s-explain-0/../../../s", "others-explain-0"]
    for name in ["s-explain-1-trainer.epochs-3", *others]:
        optuna.create_study(study_name=name, storage=storage)
    runs = folder / "explain" / "0"
    runs.mkdir(parents=True)
    study = optuna.create_study(study_name="s-explain-0", storage=storage)
    StudyCommand(study.study_name, "redis://host", (), (), "").write(study, runs)
    set_aside("s", storage, folder)
    (moved,) = folder.parent.iterdir()
    names = {study.study_name for study in storage.get_all_studies()}
    ablations = [f"{moved.name}-explain-{each}" for each in ("0", "1-trainer.epochs-3")]
    assert names == {moved.name, *ablations, *others}
    assert recorded_command(moved / "explain" / "0").study == ablations[0]


def test_a_storage_that_is_an_object_is_on_record_by_its_url_or_file(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = optuna.storages.RDBStorage("sqlite:///s.db")
    journals = [
        optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(name))
        for name in ("s.log", "s.journal")
    ]
    commands = [StudyCommand.current("s", each) for each in (database, *journals)]
    assert commands[0].place(tmp_path) == f"sqlite:///{tmp_path}/s.db"
    assert commands[1].place(tmp_path) == f"{tmp_path}/s.log"
    with pytest.raises(ConfigError, match=r"in a JournalStorage, .*hydra\.sweeper\.storage=URL"):
        commands[2].place(tmp_path)


def test_the_password_of_a_storage_that_is_an_object_is_not_on_record(monkeypatch) -> None:
    database = optuna.storages.RDBStorage("sqlite://")
    database.url = "postgresql://me:hushhush1@host/x"
    command = StudyCommand.current("s", database)
    assert command.storage == "postgresql://me:***@host/x"
    assert command.lacks_password


@pytest.mark.parametrize("text", ["", "a", "[1]", "study: s", "a: b: c"])
def test_a_folder_whose_record_cannot_be_read_is_refused(tmp_path, refuses, text) -> None:
    (tmp_path / "study.yaml").write_text(text)
    with refuses(ConfigError, "has no record of its command"):
        recorded_command(tmp_path)


def test_a_command_whose_folder_is_gone_is_run_again_here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    command = StudyCommand("s", None, ("app.py",), (), str(tmp_path / "there"))
    assert command.start_folder == tmp_path / "there"
    (tmp_path / "there").rmdir()
    assert command.start_folder == tmp_path


def test_a_worker_joins_no_study_whose_database_is_gone(recorded, storage, refuses) -> None:
    folder = recorded("sqlite:///x.db", storage)
    with refuses(ConfigError, r"there is no file .*x\.db"):
        worker_command(str(folder), None, [])
    assert not list(folder.parent.glob("*.db"))


def test_a_folder_needs_no_name_of_a_study(tmp_path, refuses) -> None:
    with refuses(ConfigError, f"type python -m sweeper.worker {tmp_path}$"):
        worker_command(str(tmp_path), "s", [])


@pytest.mark.parametrize("name", ["s", "s.finals"])
def test_a_worker_that_is_given_the_journal_of_a_folder_joins_by_the_folder(
    recorded, storage, monkeypatch, name
) -> None:
    folder = recorded(None, storage)
    optuna.create_study(study_name="s.finals", storage=open_storage(None, folder))
    monkeypatch.chdir(folder)
    if name == "s":
        line = worker_command("journal.log", "s", [])
        assert line[-1] == f"hydra.sweep.dir={folder}"
        assert not any("storage" in argument for argument in line)
    else:  # it has no record of a command
        with pytest.raises(ConfigError):
            worker_command("journal.log", name, [])


def test_the_flags_of_a_worker_stand_before_all_overrides() -> None:
    arguments = ("--multirun", "x=1,2", "--config-dir", "more", "hydra.launcher.n_jobs=3", "-cn=a")
    line = StudyCommand("s", None, ("app.py",), arguments, ".").worker(["y=1"], ["z=2"])
    assert line[1:8] == ["app.py", "--multirun", "--config-dir", "more", "-cn=a", "x=1,2",
                         "hydra.sweeper.study_name=s"]  # fmt: skip
    assert line[-2:] == ["z=2", "y=1"]


def test_the_journal_of_the_folder_is_null_among_the_arguments(monkeypatch) -> None:
    typed = ("x=1,2", "hydra.sweeper.storage=multirun/s/j.log")
    monkeypatch.setattr("sys.argv", ["app.py", *typed])
    assert StudyCommand.current("s", "multirun/s/j.log").arguments == typed
    assert StudyCommand.current("s", None).arguments == ("x=1,2", "hydra.sweeper.storage=null")
