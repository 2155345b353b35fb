"""A task of ten short epochs, which writes a checkpoint after each and resumes from it."""

import time

import hydra
from omegaconf import DictConfig

from sweeper import trial


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    info = trial.info()
    assert info is not None, "this task runs only in a study"
    checkpoint, log = info.folder / "step", info.folder / "steps.log"
    start = int(checkpoint.read_text()) if info.resume_folder and checkpoint.exists() else 0
    for step in range(start, 10):
        time.sleep(cfg.step_seconds)
        with log.open("a") as file:
            file.write(f"{step}\n")
        trial.report(cfg.x**2 + 10 - step, step)
        partial = checkpoint.with_suffix(".new")
        partial.write_text(str(step + 1))
        partial.replace(checkpoint)
        if trial.should_stop():
            break
    return cfg.x**2


if __name__ == "__main__":
    main()
