"""The conclusion of a study: its winner is scored on the test split, once.

`hydra.sweeper.conclude` in `conf/config.yaml` names `score_winner`; a worker of the study calls it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from sweeper.trial import TrialInfo


def score_winner(cfg: "DictConfig", winner: "TrialInfo") -> dict[str, float]:
    """Return the scores of the winner's best network on the test split, by names as `test/loss`.

    They are added to the record of the winner's own run. `cfg` is the winner's config. The result
    is empty if the data has no test split.

    Raises:
        SweeperError: a checkpoint of the winner is missing or damaged, or the data cannot be read.
    """
    # The command of a study, which loads no torch, checks only that this function is there.
    from sweeper.errors import CheckpointError
    from sweeper.run.invocation import Invocation
    from sweeper.run.start import start
    from sweeper.training.resumption import checkpoint_to_resume

    checkpoint = checkpoint_to_resume(None)
    if checkpoint is None:
        raise CheckpointError(f"{winner.folder} has no checkpoint of trial {winner.label}")
    if cfg.resume is not None:  # where the trial began, which is not where it ended
        cfg.resume = str(checkpoint)
    return start(cfg, Invocation.of_job(cfg)).score()
