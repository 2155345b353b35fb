"""Local worker processes, behind `hydra/launcher=local`.

In the parent process, the plugin's `LocalLauncher` calls

    local        gives jobs to worker processes, and replaces those that die
      slot       one worker process, and how it is started
        child    starts a process that finds the same modules, and waits for it
    orphans      kills what a worker process has started, if it is killed or hangs
    resources    how many workers this machine can run, with how many threads and which GPU
    limits       what a container leaves to it
    early        starts a fork server while the command still reads its config
    fork_server  this process's side of it
    apart        calls a function in a process that it forks

and starts in each worker process

    process      imports the task once, then runs one Hydra job after another
    spawned      starts such a process on Windows, and stands for it
    script       the main module of the process: the script that defines the task
    output       writes the output of a job to the job's folder

A worker is forked from `server`, a process that has imported everything, or a fresh process where
there is no such server.

A study launches one long job in each process: a `sweep.worker_task.Worker`, which runs many trials.
"""
