"""A rehearsal of drawing, before the end of a study."""

from sweeper.figures.drawing import drawn
from sweeper.figures.study.drawn import study_figures
from sweeper.figures.study.view import Parameter, StudyView, TrialView


def rehearse() -> None:
    """Draw the figures of a small study, to import what that needs and to fill the font caches."""
    import optuna.importance  # noqa: F401

    import sweeper.sweep.bars
    import sweeper.sweep.picture.saving
    import sweeper.sweep.picture.viewing  # noqa: F401

    curve = [(1.0, 0.1), (2.0, 0.2)]
    trials = [TrialView(i, "complete", {"lr": i + 0.5}, [i + 0.5], curve) for i in range(2)]
    lr = Parameter("lr", low=0.1, high=2.0, log=True)
    view = StudyView(
        "study", "", ["accuracy"], [True], trials, [lr], {"lr": 1.0}, best=1, best_text="1"
    )
    for figure in study_figures(view, ()).values():
        drawn(figure())
