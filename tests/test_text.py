import pytest

from sweeper.text import binary_size, did_you_mean, in_one_line, listed, shortened


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("alexnte", "did you mean alexnet?"),
        ("zzz", "choose one of alexnet, cnn"),
    ],
)
def test_suggestions_are_similar_names_or_all_names(name, suggestion) -> None:
    assert did_you_mean(name, ["cnn", "alexnet"]) == suggestion


def test_a_message_of_several_lines_becomes_one() -> None:
    assert in_one_line(ValueError("size mismatch:\n\texpected 3,\n\tgot 4")) == (
        "size mismatch: expected 3, got 4"
    )


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 2**20, "5.0 MiB"), (2**40, "1.0 TiB")],
)
def test_sizes_are_in_units_of_1024(nbytes, text) -> None:
    assert binary_size(nbytes) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(("abcde", 5), "abcde"), (("abcdef", 5), "ab..."), (("abcdef", 5, "…"), "abcd…")],
)
def test_a_longer_text_is_cut_to_the_length(arguments, text) -> None:
    assert shortened(*arguments) == text


@pytest.mark.parametrize(
    ("words", "text"), [(["lr"], "lr"), ((3, 14), "3 and 14"), (["a", "b", "c"], "a, b and c")]
)
def test_words_are_listed_as_in_a_sentence(words, text) -> None:
    assert listed(words) == text
