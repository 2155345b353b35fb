"""Studies: search spaces, workers that run trials, and results.

`python -m sweeper --multirun` goes through these modules from top to bottom.

In the parent process, Hydra calls the plugin's `StudySweeper.sweep`, which calls `run_study`:

    run_study        plans the study, opens it, launches its workers, and writes the results
      plan             reads and checks everything before the first trial
        study_settings   the values of `hydra.sweeper`
          setting_rules    which values each of them accepts
        space            overrides with several values as Optuna distributions
        live             the parameters of a trial, given the options that it has chosen
        compose          the config of a trial, composed by Hydra
        grid             every point of a finite space
        points           the default config and the user's points, as first trials
      study            creates the Optuna study, or checks that an existing one is the same
      storage          opens a journal file or a database
        database         few queries a trial, and patience while the server is away
      command          records the command, so that workers can join the study from elsewhere
      board            shows the progress while the workers run
      results          the best trial as a file, a folder and a command

`run_study` hands `worker_task.Worker` to the Hydra launcher in place of the user's task. In each
worker process (with the basic launcher, in the parent process):

    worker_task      claims trials and runs them until the budget is spent
      session          runs one claimed trial: samples, composes, calls the task, ends the trial
        ledger           claims and ends trials, so that each runs in one worker only
          budget           how many trials the study may run
          lease            a worker's claim on a running trial, and how others judge it
        guard            a thread that renews the lease and sees when the trial must stop
        live, compose    as above
        reporter         connects the running task (`sweeper.trial`) to the Optuna trial
        verdict          the state and values with which a trial ends

Both sides use `spec`, the description of the study that is pickled for the workers, and
`observer`, the interface of those who follow a study. `mlflow_study` is the observer that keeps
the study's parent run in MLflow.
"""
