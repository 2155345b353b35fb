"""The step from config to objects.

No other folder of `sweeper` instantiates what a config names, except `sweep` the sampler, pruner,
storage and observers in `hydra.sweeper` of the command's own config.

    recipe            a checked config: `build` an experiment, `verify` it, or build its network
      choices           the names of the options that the config was composed of
      options           the chosen options of all groups; adds the arguments that the run provides
        option            one option: a target, with arguments checked against its signature
        model_option      the option of the group `model`, and the check of its network
        data_option       the option of the group `data`: a source, and how its images are prepared
        epoch_metrics     the check that the run's metrics are measured on the data
        init_option       the option of the group `init`, with those for single types of layers
        loss_option       the option of the group `loss`: torch's criterion and its adapter
        updates_option    the options of the groups `optimizer` and `scheduler`
        callback_option   the user's own callbacks

`sweeper.run` calls `build` for a run and `Recipe` for a checkpoint, a study calls `verify` before
its first trial, and `sweeper.inspect` calls `network`.
"""
