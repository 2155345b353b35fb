import pytest
from omegaconf import OmegaConf

from sweeper.run.start import _comparable, _restore_stop_reason
from sweeper.training.state import RunState

CONFIG = "seed: 0\nresume: null\ntracking:\n  uri: null\n  study_observers: []\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("resume: null", "resume: run/checkpoints/last.pt", True),
        ("study_observers: []", "study_observers: [{_target_: a.Module}]", True),
        ("uri: null", "uri: null\n  flush_seconds: 0", True),
        ("uri: null", "uri: null\n  watch: {images: 4}", True),
        ("uri: null", "uri: http://127.0.0.1:5000", False),
        ("seed: 0", "seed: 1", False),
    ],
)
def test_a_run_continues_the_tracked_run_of_the_same_experiment(old, new, same) -> None:
    changed = CONFIG.replace(old, new)
    assert changed != CONFIG
    one, other = (_comparable(OmegaConf.create(text)) for text in (CONFIG, changed))
    assert (one == other) is same


@pytest.mark.parametrize(
    ("reason", "shown"), [("enough", "enough"), ("\x1b[2J", "\\x1b[2J"), (None, None), (7, None)]
)
def test_the_reason_in_a_checkpoint_is_text_that_a_terminal_can_show(reason, shown) -> None:
    state = RunState(3, 1, "val/loss", "minimize")
    _restore_stop_reason(reason, state)
    assert state.stop_reason == shown
