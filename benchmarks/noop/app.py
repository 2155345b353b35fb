"""A task that only sleeps for `seconds`, so that the rest of a trial's time is the sweeper's."""

import time

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    time.sleep(cfg.seconds)
    return cfg.x**2 + cfg.y


if __name__ == "__main__":
    main()
