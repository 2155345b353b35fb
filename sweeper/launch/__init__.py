"""Local worker processes, behind `hydra/launcher=local`.

In the parent process, the plugin's `LocalLauncher` calls

    local      starts worker processes, gives them jobs, and replaces those that die
    resources  how many workers this machine can run, with how many threads and which GPU

and starts in each worker process

    process    imports the task once, then runs one Hydra job after another
    output     writes the output of a job to the job's folder

A study launches one long job in each process: a `sweep.worker_task.Worker`, which runs many trials.
"""
