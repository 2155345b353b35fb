"""The pages of the documentation: their names, their fences, and commands with less work."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
FENCE = re.compile(
    r"(?:<!-- (?P<mark>.+?) -->\n)?^ *```(?P<language>\w+)\n(?P<text>.*?)^ *```",
    re.DOTALL | re.MULTILINE,
)
"""A fence, and what a comment before it says of it."""
LESS = {
    "trainer.epochs": "1",
    "trainer.train_limit": "64",
    "trainer.val_limit": "32",
    "tracking": "none",
    "figures": "false",
}
ONE_TRIAL = LESS | {"hydra.sweeper.n_trials": "1", "hydra/launcher": "basic"}


def overrides_of(words: Sequence[str], replaced: Mapping[str, str]) -> list[str]:
    """Return overrides with these values in place of those that they have."""
    kept = [word for word in words if word.partition("=")[0] not in replaced]
    return [*kept, *(f"{key}={value}" for key, value in replaced.items())]
