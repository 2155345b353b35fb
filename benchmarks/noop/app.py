"""A task that only sleeps for `seconds`, so that the rest of a trial's time is the sweeper's."""

import os
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    if cfg.marks:
        with Path(cfg.marks).open("a") as file:
            file.write(f"{os.getpid()} {time.time()}\n")
    time.sleep(cfg.seconds)
    return cfg.x**2 + cfg.y


if __name__ == "__main__":
    main()
