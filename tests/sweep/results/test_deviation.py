import pytest
from optuna.trial import create_trial

from sweeper.sweep.results.deviation import typical_repeat, typical_values, values_text


@pytest.mark.parametrize(
    ("values", "attrs", "text"),
    [
        ([0.98213], {}, "0.98213"),
        ([0.5, 1234.0], {}, "0.5, 1234"),
        ([0.98213], {"repeats": [[0.9]] * 5, "deviation": [0.00312]}, "0.9821 ± 0.0031 (5 seeds)"),
        ([0.5], {"repeats": [[0.5]] * 2, "deviation": [0.0]}, "0.5 ± 0 (2 seeds)"),
        ([1234.5], {"repeats": [[1.0]] * 2, "deviation": [67.8]}, "1234 ± 68 (2 seeds)"),
        ([2e12], {"repeats": [[1.0]] * 2, "deviation": [3e10]}, "2e+12 ± 3e+10 (2 seeds)"),
        ([2.0], {"repeats": [[1.0]] * 2, "deviation": [3e-9]}, "2 ± 3e-09 (2 seeds)"),
        (
            [0.5, 1234.0],
            {"repeats": [[0.4, 1234.0], [0.6, 1234.0]], "deviation": [0.1, 0.0]},
            "0.50 ± 0.10, 1234 ± 0 (2 seeds)",
        ),
        ([0.5], {"repeats": [[0.5]]}, "0.5"),
        ([0.5], {"repeats": "no list", "deviation": [0.1]}, "0.5"),
        ([0.5], {"repeats": [[0.4], [0.6]], "deviation": [None]}, "0.5"),
    ],
)
def test_values_have_their_deviation_over_seeds(values, attrs, text) -> None:
    assert values_text(create_trial(values=values, user_attrs=attrs)) == text


@pytest.mark.parametrize(
    ("values", "attrs", "index"),
    [
        ([2.0], {}, None),
        ([2.0], {"repeats": [[1.0], [2.2], [3.0]], "deviation": [1.0]}, 1),
        ([2.0], {"repeats": [[1.0], [2.2], [3.0]]}, 1),
        # 10 of 100 is a smaller part of the deviation than 0.1 of 0.1
        ([0.5, 500.0], {"repeats": [[0.6, 500.0], [0.5, 510.0]], "deviation": [0.1, 100.0]}, 1),
    ],
)
def test_the_typical_seed_is_nearest_to_the_mean(values, attrs, index) -> None:
    assert typical_repeat(create_trial(values=values, user_attrs=attrs)) == index


@pytest.mark.parametrize(
    ("attrs", "values"),
    [({}, (0.5,)), ({"repeats": [[0.1], [0.6], [0.8]], "deviation": [0.36]}, (0.6,))],
)
def test_the_typical_values_are_those_of_one_run(attrs, values) -> None:
    assert typical_values(create_trial(values=[0.5], user_attrs=attrs)) == values
