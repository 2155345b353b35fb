"""What makes two commands run the same study, and what a command says that runs nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

COMMAND = ("x=1,2,3", "hydra/launcher=basic")


@pytest.fixture
def copied(app):
    """Return the application with files that may be changed."""
    source = app.cwd / "sphere"
    shutil.copytree(Path(__file__).parent / "sphere", source)
    return replace(app, script=source / "app.py")


def edit(app, file: str, old: str, new: str) -> None:
    path = app.script.parent / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_repeated_study_says_that_nothing_is_run(app) -> None:
    app.run(*COMMAND)
    out = app.run(*COMMAND)
    assert "nothing to run: all 3 trials were done (today" in out
    assert "hydra.sweeper.study=fresh runs them again" in out
    assert out.index("nothing to run") < out.index("Best:")


@pytest.mark.parametrize(
    ("file", "old", "new", "shown"),
    [
        ("conf/config.yaml", "steps: 1", "steps: 2", "(steps: 1 -> 2)"),
        ("conf/config.yaml", "returns: null", "returns: 3", "(returns: null -> 3)"),
        ("conf/shape/sphere.yaml", "radius: 1", "radius: 2", "(shape.radius: 1 -> 2)"),
        ("conf/config.yaml", "returns: null", "returns: null\nnew: 1", "(new: none -> 1)"),
    ],
)
def test_a_changed_default_is_refused_with_the_difference(copied, file, old, new, shown) -> None:
    copied.run(*COMMAND)
    edit(copied, file, old, new)
    out = copied.run(*COMMAND, code=1)
    assert f"study s exists with other settings {shown}" in out
    assert "hydra.sweeper.study=fresh" in out
    copied.run(*COMMAND, "hydra.sweeper.study=fresh")
    assert len(copied.trials()) == 3


def test_a_changed_setting_named_search_is_refused(copied) -> None:
    edit(copied, "conf/config.yaml", "returns: null", "returns: null\nsearch: {beam: 2}")
    copied.run(*COMMAND)
    edit(copied, "conf/config.yaml", "beam: 2", "beam: 3")
    assert "(search.beam: 2 -> 3)" in copied.run(*COMMAND, code=1)


def test_a_changed_default_of_what_is_swept_or_steers_is_not_refused(copied) -> None:
    command = (*COMMAND, "hydra.sweeper.steering=[step_seconds]")
    copied.run(*command)
    edit(copied, "conf/config.yaml", "x: 1.0", "x: 2.0")
    edit(copied, "conf/config.yaml", "step_seconds: 0.0", "step_seconds: 0.01")
    assert "nothing to run" in copied.run(*command)


def test_a_study_in_a_database_does_not_take_the_folder_of_one_with_a_journal(app) -> None:
    app.run(*COMMAND)
    out = app.run(*COMMAND, "hydra.sweeper.storage=sqlite:///s.db", code=1)
    assert "s is the folder of study s, which is kept in its journal there; type another" in out


def test_the_lines_of_hydras_launcher_say_that_these_are_workers(app) -> None:
    out = app.run(*COMMAND)
    assert "#0 : worker of study s" in out
    assert "Launching 1 worker locally" in out
    assert "#0 : x=1" not in out


def test_a_setting_that_does_not_exist_is_refused(app) -> None:
    out = app.run(*COMMAND, "+hydra.sweeper.n_trial=3", code=1)
    assert "hydra.sweeper.n_trial: there is no such key; did you mean n_trials?" in out
    assert not app.folder.exists()


def test_a_study_goes_on_with_choices_that_are_written_in_another_way(app) -> None:
    random = ("hydra/sweeper/sampler=random", "hydra/launcher=basic")
    app.run("x=choice(1e1,2.0,3)", "hydra.sweeper.n_trials=1", *random)
    app.run("x=choice(10,2,3.0)", "hydra.sweeper.n_trials=3", *random)
    assert sorted(t.params["x"] for t in app.trials()) == [2, 3, 10]


def test_a_storage_in_memory_serves_a_study_in_one_process_only(app) -> None:
    storage = "hydra.sweeper.storage={_target_: optuna.storages.InMemoryStorage}"
    assert "2 of 2 trials done" in app.run("x=1,2", "hydra/launcher=basic", storage)
    out = app.run("x=1,2", storage, code=1)
    assert "hydra.sweeper.storage=InMemoryStorage: must be a storage that the processes of" in out
