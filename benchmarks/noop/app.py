"""A task that costs nothing, or as many seconds as it is told: all else is the sweeper's."""

import time

import hydra
from omegaconf import DictConfig


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    time.sleep(cfg.seconds)
    return cfg.x**2 + cfg.y


if __name__ == "__main__":
    main()
