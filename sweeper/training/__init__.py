"""The training loop and everything that it calls.

    loop            `fit`: the loop itself, over an `Experiment` and a `RunState`
      experiment    the objects of a run, as `sweeper.build` makes them
      state         the progress of a run: epoch, history, best epoch, reason to stop
      updates       from the loss of a batch to new weights: gradient, optimizer, schedule, average
        momentum    the first momentum of a parameter that gets its first gradient late
        anomaly     the backward pass, which can name the operation whose gradient is nan
      scoring       metrics and predictions of a network on a split
    callback        the base class of callbacks, with the hooks that the loop calls
      checkpoint_store    the last and the best checkpoint of a run
      report        reports to the study of a trial
      stopping      early stopping
      progress      log lines and the progress bar
      watch         pictures and histograms of the network; `gradients` collects its values
      overfit       checks whether a network can learn a few images by heart
      finetune      keeps frozen parts frozen; `patterns` names the parts
    checkpoint      reads a checkpoint; `checkpoint_file` compares the checksums of its file
      resumption    the one that a run resumes from, and what the two must have in common
    settings        the checked values of the config's root and of `trainer`
    watch_settings  the checked values of `tracking.watch`
    pretrained      reads the file of `init.weights`
    devices  seeding  recompute    device and precision, random numbers, activation checkpointing
    torch_settings                 torch's settings for the whole process
    freed_memory                   lets the C library keep the memory of a batch for the next one
    compiler                       keeps torch's compiler from being imported without need
    schedules  muon                targets of the groups `scheduler` and `optimizer`

`sweeper.run` puts the callbacks together and calls `fit`. Nothing here reads a config.
"""
