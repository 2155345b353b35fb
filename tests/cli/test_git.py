import subprocess

import pytest

from sweeper.cli.git import CodeState


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return tmp_path


def test_the_state_is_the_commit_and_the_changes_to_tracked_files(repository) -> None:
    clean = CodeState.of(repository)
    (repository / "outputs.txt").write_text("not tracked")
    assert CodeState.of(repository) == clean
    (repository / "code.py").write_text("x = 2\n")
    changed = CodeState.of(repository)
    assert (clean.changes, changed.commit) == ("", clean.commit)
    assert changed != clean
    assert str(changed) == f"commit {clean.commit[:7]} with changes"


def test_the_first_folder_in_a_repository_counts(repository, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert CodeState.of(elsewhere, repository) == CodeState.of(repository)
    assert CodeState.of(elsewhere) is None
    assert CodeState.of(elsewhere / "missing") is None
