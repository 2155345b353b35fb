import pytest

from sweeper.figures.study.ticks import linear_ticks, log_ticks, number_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(32, "32"), (0.5, "0.5"), (0.0012345, "0.00123"), (3e-5, "3e-5"), (2.5e9, "2.5e9"), (-4, "-4"),
     (13541.2, "13541"), (0, "0"), (float("inf"), "inf"), (float("nan"), "nan")],
)  # fmt: skip
def test_a_number_is_written_as_it_is_typed(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [(0, 1, "0.00 0.25 0.50 0.75 1.00"), (0.9, 0.98, "0.90 0.92 0.94 0.96 0.98"),
     (0, 1e6, "0 0.25M 0.50M 0.75M 1.00M"), (3, 3, "3"), (0, 4e9, "0 1G 2G 3G 4G"),
     (1e-7, 4e-7, "1e-7 2e-7 3e-7 4e-7")],
)  # fmt: skip
def test_linear_ticks_have_the_decimals_that_tell_them_apart(low, high, texts) -> None:
    assert [text for _, text in linear_ticks(low, high)] == texts.split()


@pytest.mark.parametrize("high", [1, 2, 9, 100, 12345])
def test_integer_ticks_are_integers(high: int) -> None:
    values = [value for value, _ in linear_ticks(0, high, 8, integer=True)]
    assert all(value == int(value) and 0 <= value <= high for value in values)
    assert 2 <= len(values) <= 8


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [(1e-4, 1e-1, "0.0001 0.001 0.01 0.1"), (0.001, 0.01, "0.001 0.002 0.005 0.01")],
)  # fmt: skip
def test_log_ticks_are_powers_of_ten_or_their_multiples(low, high, texts) -> None:
    assert [text for _, text in log_ticks(low, high)] == texts.split()


@pytest.mark.parametrize(("low", "high"), [(1e-9, 1e3), (0.5, 0.6), (3, 70), (1, 1e30)])
def test_there_are_few_log_ticks_and_at_least_two(low: float, high: float) -> None:
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 6
    assert all(low * 0.99 <= value <= high * 1.01 for value, _ in ticks)
