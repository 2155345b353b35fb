"""Run the commands, one after another in this process."""

import sys

from sweeper import app, evaluate, inspect, predict
from sweeper.cli.arguments import run_tool

SMALL = (
    *("trainer.epochs=1", "trainer.train_limit=200", "trainer.val_limit=100"),
    "tracking.flush_seconds=300",
)
STUDY = ("--multirun", *SMALL, "optimizer.lr=0.01,0.001", "trainer.threads=1")
COMMANDS = (
    (app.main, *SMALL, "hydra.run.dir=run"),
    (inspect.main, "model=lenet"),
    (lambda: run_tool(evaluate.evaluate, ""), "checkpoint=run"),
    (lambda: run_tool(predict.predict, ""), "checkpoint=run", "split=test", "count=3"),
    (app.main, *STUDY, "hydra/launcher=basic", "hydra.sweeper.study_name=basic"),
    (app.main, *STUDY, "hydra.sweeper.n_jobs=2", "hydra.sweeper.study_name=two_workers"),
)


def main() -> None:
    for command, *arguments in COMMANDS:
        sys.argv = ["sweeper", *arguments]
        try:
            command()
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main()
