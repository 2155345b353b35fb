"""Runs and studies from Python, as in a notebook; `import sweeper` offers them.

    run_result     `run` and its result, as `python -m sweeper` trains
    study_result   `sweep` and its result, as `python -m sweeper --multirun` searches
    best_trial     the best trials of a study, from its storage and its folder
    call           calls Hydra with the overrides, and raises the errors of a command line
    untouched      restores what Hydra, logging, torch and others had before the call

A call goes through the same code as the command: `sweeper.app.executed` for a run, Hydra's
multirun for a study. While it runs, the process stands for `python -m sweeper ...`, so that every
command that is recorded or printed can be typed.
"""
