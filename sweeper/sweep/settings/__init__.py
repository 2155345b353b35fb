"""The values of `hydra.sweeper`, read and checked before the first trial.

study_settings   all of them, converted
  setting_rules    which values each of them accepts
  reading          the sampler and the pruner
    nodes            an object as a plain mapping: its class and arguments, checked
    recipes          samplers and pruners as data, which each worker builds again
  pruning          which pruner a study has
  dry_run          trials in memory, which show whether a sampler can search the space
"""
