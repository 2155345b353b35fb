"""A small task to minimize: a sphere or a plane, without torch."""

import os
import random
import signal
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig
from optuna import TrialPruned

from sweeper import trial


def go_wrong(cfg: DictConfig) -> None:
    """Raise, die or hang if x is too large."""
    info = trial.info()
    if cfg.x > cfg.breaks_above:
        raise ValueError("x is too large")
    is_first = info is not None and info.attempt == 0
    if cfg.x > cfg.dies_above or (cfg.dies_first and is_first):
        os.kill(os.getpid(), signal.SIGKILL)
    if cfg.x > cfg.interrupts_above:
        raise KeyboardInterrupt
    if cfg.x > cfg.hangs_above:
        time.sleep(10_000)
    while cfg.x > cfg.waits_above and Path("wait").exists():
        time.sleep(0.02)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float | None:
    go_wrong(cfg)
    info = trial.info()
    value = cfg.x**2 + cfg.shape.get("radius", 0) + cfg.shape.get("tilt", 0)
    seed = cfg.get("seed", 0)
    if "noise" in cfg:
        value += cfg.noise * random.Random(f"{seed} {cfg.x}").gauss()
    value -= 1000 if seed == 0 and cfg.get("luck") == cfg.x else 0
    progress = info.folder / "steps.log" if info else None
    start = len(progress.read_text()) if progress and progress.exists() else 0
    if cfg.resumes and info is not None:
        assert (info.resume_folder is not None) == any(info.folder.glob("steps.*"))
    for step in range(start, cfg.steps):
        time.sleep(cfg.step_seconds)
        trial.report(value, step, length=cfg.steps if cfg.tells_length else None)
        if progress:
            written = progress.with_suffix(".new")
            written.write_text("." * (step + 1))
            written.replace(progress)  # a kill in between leaves the old one
        if trial.should_stop():
            if cfg.raises_when_stopped:
                raise TrialPruned
            break
    print("value", value)
    return cfg.returns if cfg.returns is not None else value


if __name__ == "__main__":
    main()
