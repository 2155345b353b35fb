import pytest

from sweeper.figures.lettering import fitted, text_width, wrapped


@pytest.mark.parametrize("text", ["short", "a_$x$_" * 40, "日本語" * 30, "W" * 80, ""])
def test_a_fitted_text_has_the_width_or_less(text: str) -> None:
    shown = fitted(text, 2.0, 12)
    assert text_width(shown, 12) <= 2.0
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_names_with_the_same_beginning_can_be_told_apart() -> None:
    shown = [fitted(f"a_rather_long_name_{end}", 0.8, 12, keep_end=True) for end in "ab"]
    assert [text[-1] for text in shown] == ["a", "b"]
    assert all(text.startswith("a") and text_width(text, 12) <= 0.8 for text in shown)


def test_control_characters_are_escaped() -> None:
    assert fitted("a\x1bb", 9, 12) == "a\\x1bb"


def test_lines_are_as_wide_as_allowed_and_the_last_one_is_cut() -> None:
    lines = wrapped("word " * 60, 3.0, 12, max_lines=2)
    assert len(lines) == 2
    assert all(text_width(line, 12) <= 3.0 for line in lines)
    assert lines[-1].endswith("…")
    assert wrapped("", 3.0, 12) == []
