"""The command that delivers what waits, as far as it reads its arguments."""

import sys
from pathlib import Path

import pytest

from sweeper.tracking.deliver import main


@pytest.fixture
def delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders of which the command delivers the outbox; nothing is delivered."""
    folders: list[Path] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweeper.tracking.deliver.hide_arguments", lambda _: None)
    monkeypatch.setattr(
        "sweeper.tracking.deliver.deliver", lambda folder, _: folders.append(folder)
    )
    return folders


@pytest.mark.parametrize(
    ("arguments", "folder"), [([], "."), (["a"], "a"), (["a/outbox"], "a"), (["outbox"], ".")]
)
def test_the_outbox_stands_for_its_folder(
    delivered, tmp_path, monkeypatch, arguments, folder
) -> None:
    (tmp_path / "a" / "outbox").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["deliver", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert delivered == [tmp_path / folder]


def test_a_folder_that_does_not_exist_is_named(delivered, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["deliver", "nowhere"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "nowhere: there is no such folder; type the one in which" in capsys.readouterr().err
    assert delivered == []
