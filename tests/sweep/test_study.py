import optuna
import pytest

from sweeper.errors import ConfigError
from sweeper.sweep.study import Search, create_study, set_aside

SEARCH = Search({"x": "Float(0, 1)"}, ("minimize",), ("steps=2",), {"data": "digits"})


def changed(**keys):
    return Search(**{**vars(SEARCH), **keys})


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (changed(space={"x": "Float(0, 2)"}), r"space x: Float\(0, 1\) -> Float\(0, 2\)"),
        (changed(space={}), r"space x: .* -> none"),
        (changed(directions=("maximize",)), "direction: minimize -> maximize"),
        (changed(fixed=("steps=3",)), "steps=2 -> steps=3"),
        (changed(options={"data": "mnist"}), "option data: digits -> mnist"),
    ],
)
def test_another_search_under_the_same_name_is_refused(storage, other, shown) -> None:
    create_study("s", storage, SEARCH)
    create_study("s", storage, SEARCH)
    with pytest.raises(ConfigError, match=shown) as error:
        create_study("s", storage, other)
    assert "hydra.sweeper.study_name=NAME" in str(error.value)
    assert "hydra.sweeper.study=fresh" in str(error.value)
    assert other.short_hash() != SEARCH.short_hash()


def test_a_study_made_by_others_is_taken_over_if_its_direction_fits(storage) -> None:
    optuna.create_study(study_name="s", storage=storage)
    create_study("s", storage, SEARCH)
    with pytest.raises(ConfigError):
        create_study("s", storage, changed(space={}))


def test_a_study_set_aside_is_kept_under_a_dated_name(storage, tmp_path) -> None:
    create_study("s", storage, SEARCH)
    (tmp_path / "s").mkdir()
    set_aside("s", storage, tmp_path / "s")
    create_study("s", storage, changed(space={}))
    names = sorted(s.study_name for s in storage.get_all_studies())
    assert names[0] == "s"
    assert names[1].startswith("s.")
    assert [p.name for p in tmp_path.iterdir()] == [names[1]]
