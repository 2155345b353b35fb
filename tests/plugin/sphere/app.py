"""The smallest task that a study can improve: a sphere, or a tilted plane, without torch."""

import hydra
from omegaconf import DictConfig

from sweeper import trial


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    value = float("inf")
    for step in range(cfg.steps):
        value = cfg.x**2 + sum(v for k, v in cfg.shape.items() if k in ("radius", "tilt"))
        trial.report(value + cfg.steps - step, step)
        if trial.should_stop():
            break
    return value


if __name__ == "__main__":
    main()
