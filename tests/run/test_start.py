import pytest
from omegaconf import OmegaConf

from sweeper.run.start import _comparable

CONFIG = "seed: 0\nresume: null\ntracking:\n  uri: null\n  study_observers: []\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("resume: null", "resume: run/checkpoints/last.pt", True),
        ("study_observers: []", "study_observers: [{_target_: a.Module}]", True),
        ("uri: null", "uri: http://127.0.0.1:5000", False),
        ("seed: 0", "seed: 1", False),
    ],
)
def test_a_run_continues_the_tracked_run_of_the_same_experiment(old, new, same) -> None:
    changed = CONFIG.replace(old, new)
    assert changed != CONFIG
    one, other = (_comparable(OmegaConf.create(text)) for text in (CONFIG, changed))
    assert (one == other) is same
