"""All figures of studies with odd trials, parameters and names."""

import math

import numpy as np
import pytest
from matplotlib.cbook import STEP_LOOKUP_MAP

from sweeper.figures.study.drawn import study_figures
from sweeper.figures.study.history import best_so_far, history
from sweeper.figures.study.parallel import parallel_coordinates
from sweeper.figures.study.pareto import pareto_front
from sweeper.figures.study.shares import shares
from sweeper.figures.study.slices import slices
from sweeper.figures.study.summary_picture import overview
from sweeper.figures.study.trial_curves import learning_curves
from sweeper.figures.study.view import Parameter, StudyView, TrialView

LR = Parameter("optimizer.lr", low=1e-4, high=1e-1, log=True)
DEPTH = Parameter("model.depth", low=1, high=4, integer=True)
SIZE = Parameter("data.batch_size", choices=(32, 64, 128))
LONG = Parameter(
    "model.kernel_size@a_$very$_long_option", choices=tuple(f"a_long_$name_{i}" for i in range(9))
)
MANY = Parameter("many", choices=tuple(range(300)))
SCRIPT = Parameter("größe", choices=("日本語", "ü", "x$_$"))
FORTY = [Parameter(f"model.block_{i}.a_rather_long_name", low=0, high=1) for i in range(40)]
STATES = ("complete", "paused", "pruned", "failed", "unfinished")


def study(n: int, parameters, states=STATES, n_objectives=1, name="rates", value=None) -> StudyView:
    rng = np.random.default_rng(0)
    trials = []
    for number in range(n):
        state = states[number % len(states)]
        params = {
            p.name: p.choices[number % len(p.choices)] if p.choices else rng.uniform(p.low, p.high)
            for p in parameters
            if p is not MANY or number % 2
        }
        curve = [(float(e), rng.uniform()) for e in range(1, 2 + number % 9)]
        values = list(rng.uniform(size=n_objectives)) if value is None else [value]
        done = state == "complete" or (n_objectives == 1 and state != "failed")
        curve = curve if n_objectives == 1 and state != "failed" else []
        trials.append(TrialView(number, state, params, values if done else [], curve))
    metrics = ["val/accuracy", "multiply_adds", "val/a_$loss$"][:n_objectives]
    complete = [t.number for t in trials if t.state == "complete" and t.has_values]
    return StudyView(
        name,
        "cnn on digits",
        metrics,
        [True, False, False][:n_objectives],
        trials,
        parameters,
        {p.name: 1 / len(parameters) for p in parameters},
        f"from {n} trials",
        best=complete[0] if complete else None,
        best_text="0.123",
        front=complete[:3],
        advice=["Widen optimizer.lr below 0.0001: the best trial has 0.00012."] * 4,
    )


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(study(0, []), id="nothing"),
        pytest.param(study(1, [LR], states=("complete",)), id="one trial"),
        pytest.param(study(6, [LR], states=("failed",)), id="all failed"),
        pytest.param(study(6, [LR], states=("pruned",), value=math.nan), id="nan"),
        pytest.param(study(6, [LR], value=1e300), id="huge"),
        pytest.param(study(9, []), id="no parameters"),
        pytest.param(study(20, [LR, DEPTH, SIZE]), id="usual"),
        pytest.param(study(40, [LONG, MANY, SCRIPT], name="a_$x$ " * 30), id="names"),
        pytest.param(study(30, FORTY), id="forty parameters"),
        pytest.param(study(30, [LR, MANY], n_objectives=2), id="two objectives"),
        pytest.param(study(30, [LR, SIZE], n_objectives=3), id="three objectives"),
        pytest.param(study(5, [LR], ("failed",), n_objectives=2), id="no front"),
    ],
)
def test_every_figure_of_any_study_can_be_read(view: StudyView, check_legible) -> None:
    names = []
    for name, figure in study_figures(view, ()).items():
        check_legible(figure())
        names.append(name)
    assert names[0] == "study"


def test_the_history_tells_states_apart_and_has_few_entries() -> None:
    view = study(20, [LR])
    [axes] = history(view).axes
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["complete", "paused", "unfinished", "pruned", "failed", "best so far"]
    assert "20 trials: 4 complete, 4 paused" in history(view).texts[1].get_text()
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "5", "10"]


def test_only_complete_trials_count_for_the_best_so_far() -> None:
    values = [("complete", 0.5), ("paused", 0.9), ("complete", 0.4), ("complete", 0.7)]
    trials = [TrialView(i, state, values=[v]) for i, (state, v) in enumerate(values)]
    view = StudyView("s", "", ["accuracy"], [True], trials)
    assert best_so_far(view) == [(0.0, 0.5), (3.0, 0.7)]


def test_a_trial_that_violates_a_constraint_is_not_the_best_so_far() -> None:
    trials = [TrialView(0, "complete", values=[0.9], is_feasible=False)]
    trials.append(TrialView(1, "complete", values=[0.5]))
    assert best_so_far(StudyView("s", "", ["accuracy"], [True], trials)) == [(1.0, 0.5)]


def test_the_best_learning_curve_is_in_colour_and_the_others_are_grey() -> None:
    view = study(12, [LR])
    [axes] = learning_curves(view).axes
    [line] = axes.lines
    assert [list(xy) for xy in line.get_xydata()] == [list(p) for p in view.best_trial.curve]
    colours = {tuple(colour[:3]) for colour in axes.collections[0].get_colors()}
    assert len(colours) == 1
    [(red, green, blue)] = colours
    assert red == green == blue


def test_a_panel_has_evenly_spaced_categories_and_all_trials_with_values() -> None:
    view = study(20, [SIZE, LR])
    size, lr = slices(view).axes
    assert size.get_xticks() == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    assert [label.get_text() for label in lr.get_xticklabels()] == [
        "0.0001",
        "0.001",
        "0.01",
        "0.1",
    ]
    assert len(lr.collections[0].get_offsets()) == len(view.valued) == 16


@pytest.mark.parametrize("maximize", [[True, False], [False, False], [True, True]])
def test_the_line_of_a_front_leaves_no_member_beyond_it(maximize: list[bool]) -> None:
    x, y = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]
    y = y if maximize[0] != maximize[1] else y[::-1]
    trials = [
        TrialView(i, "complete", values=pair) for i, pair in enumerate(zip(x, y, strict=True))
    ]
    view = StudyView("s", "", ["a", "b"], maximize, trials, front=[0, 1, 2])
    [line] = pareto_front(view).axes[0].lines
    members = line.get_xydata()
    assert [list(member) for member in members] == [list(pair) for pair in zip(x, y, strict=True)]
    signs = [1 if is_up else -1 for is_up in maximize]
    corners = np.transpose(STEP_LOOKUP_MAP[line.get_drawstyle()](*members.T))
    assert len(corners) > len(members)
    for corner in corners:
        assert any((signs * corner <= signs * member).all() for member in members), corner


def test_too_many_importances_are_summed_up() -> None:
    found = shares({str(i): i / 10 for i in range(5)}, 3)
    assert found == {"4": 0.4, "3": 0.3, "… 3 others": pytest.approx(0.3)}


def front_of(*values: tuple[float, float]) -> StudyView:
    trials = [TrialView(i, "complete", {"a": i}, pair) for i, pair in enumerate(values)]
    parameters = [Parameter("a", low=0, high=len(values))]
    return StudyView("s", "", ["acc", "loss"], [True, False], trials, parameters, front=[0])


def test_a_front_of_which_no_member_is_chosen_has_its_members_beside_it() -> None:
    texts = [text.get_text() for text in overview(front_of((0.9, 0.1), (0.8, 0.2))).texts]
    assert "1 trial on the front; none is chosen" in texts
    assert texts[texts.index("trial 0") + 1] == "0.9, 0.1"
    assert "trial 1" not in texts


@pytest.mark.parametrize("draw", [overview, pareto_front, parallel_coordinates])
def test_a_figure_of_several_objectives_tells_which_values_lie_at_its_edges(draw) -> None:
    view = front_of((0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0.6, 1e9))
    assert "1 far worse value lies at an edge" in draw(view).texts[1].get_text()


@pytest.mark.parametrize("draw", [learning_curves, slices])
def test_a_point_at_the_edge_of_a_figure_is_drawn_whole(draw) -> None:
    values = [0.9, 0.8, 0.7, 0.6, -1e9]
    trials = [
        TrialView(i, "complete", {"a": i}, [v], [(1.0, v), (2.0, v)]) for i, v in enumerate(values)
    ]
    view = StudyView("s", "", ["acc"], [True], trials, [Parameter("a", low=0, high=4)], best=0)
    points = [c for axes in draw(view).axes for c in axes.collections if len(c.get_offsets()) > 1]
    assert points
    assert not any(each.get_clip_on() for each in points)


def test_the_number_of_a_member_of_the_front_lies_within_the_axes() -> None:
    [axes] = pareto_front(front_of((0.9, 0.1), (0.1, 0.9))).axes
    [number] = axes.texts
    assert (number.get_ha(), number.get_va()) == ("right", "bottom")


def test_close_values_can_be_read_on_the_last_axis() -> None:
    trials = [TrialView(i, "complete", {"a": i}, [1 + 1e-9 * i]) for i in range(4)]
    view = StudyView("s", "", ["acc"], [True], trials, [Parameter("a", low=0, high=4)])
    figure = parallel_coordinates(view)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert not any("…" in text for text in shown)


def test_no_best_trial_is_announced_where_there_is_none() -> None:
    assert "ringed" not in slices(study(6, [LR], states=("pruned",))).texts[1].get_text()
    assert "ringed" in slices(study(12, [LR])).texts[1].get_text()
