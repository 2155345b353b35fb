"""Studies: workers that run trials, and results.

`python -m sweeper --multirun` goes through these modules from top to bottom.

In the parent process, Hydra calls the plugin's `StudySweeper.sweep`, which calls `run_study`:

    run_study        plans the study, opens it, runs its workers, and writes the results
      plan             reads and checks everything before the first trial
        settings/        the values of `hydra.sweeper`
        verification     calls the function that checks the configs
        identity         what two commands must share to run the same study
        points           the default config and the user's points, as first trials
        elsewhere/       points and trials of other studies and runs, for the same purpose
      study_storage    the storage of the study, ready for its workers
        study            creates the Optuna study, or checks that an existing one is the same
        idle             checks that nobody uses a study that is to be moved away
        storage          opens a journal file or a database
          database         few queries a trial, and patience while the server is away
          storage_place    where it is: in a file, on a server, or in memory
      command          records the command, so that workers can join the study from elsewhere
      opening          says what was done before, and by which code
      recorder         a process for MLflow, which neither the command nor its workers import
      announcement     says what the command is going to run
      workers          launches the workers, again if some died, until the study ends
        worker_lines     makes the lines of Hydra's launchers speak of workers
        work             what is left to do: trials, then the jobs that follow the search
      board            shows the progress while the workers run
        board_view       the picture of a running study as lines of text
          counts           the numbers of trials, by what became of them
      results/         the best trials as files, folders and commands
      picture/         the figures of the study, for its record

`workers` hands `worker_task.Worker` to the Hydra launcher in place of the user's task. In each
worker process (with the basic launcher, in the parent process):

    worker_task      claims trials and runs them until the budget is spent
      session          runs one claimed trial: draws its point, runs its task, ends it
        ledger           claims and ends trials, so that each runs in one worker only
          budget           how many trials the study may run
          stop_rule        when it ends before
          folder_id        which folder of the study has a trial's files
          lease            a worker's claim on a running trial, and how others judge it
          liveness         which running trials have a living worker
          promotion        which trials are paused at a rung, and which go on
            curve            what a trial has reported so far, and how far it may run
          claim            what a worker knows of a trial that it may run
        draw             draws the parameters, so that no two trials have the same ones
          taken_points     the points that the trials have, of which each is run once
            point_index      the trials with the same parameters
          draft            keeps them back until they are final
          found_space      finds their search space in less time for a long study
        attempt          runs the task, once or for several seeds
          job              Hydra's job, with quick copies of the config
          empty_files      removes what a trial leaves that wrote nothing
        guard            a thread that renews the lease and sees when the trial must stop
        reporter         connects the running task (`sweeper.trial`) to the Optuna trial
          pausing          how far it is, and whether it is paused at its rung
        verdict          the state and values with which a trial ends
      finals/          what follows the search: finalists, and the scores of the winner

Both sides use `sweeper.space`; `spec`, the description of the study that is pickled for the
workers; and `observer`, the interface of those who follow a study. `mlflow_study` is the observer
that keeps the study's parent run in MLflow, with the text of `study_note`, the figures of
`picture/` and a timeline made of `bars`. `promotion_pruner` is the option that chooses the rule of
promotion.

When a study is over, `explain` says what each parameter of its winner has brought.

`sweeper.sweep(...)` is a call of `sweeper.api`.
"""

from sweeper import make_callable

make_callable(__name__)
