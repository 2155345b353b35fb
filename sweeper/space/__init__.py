"""Search spaces: what a study may search, and the config that a point of it gives.

space          overrides with several values as Optuna distributions
  grammar        a distribution as the override that gives it
  sweep_lines    `hydra.sweeper.params` as such overrides
  search_space   the key that Hydra 1.1 had in its place
live           the parameters of a trial, given the options that it has chosen
compose        the config of a trial, composed by Hydra
  copies         copies of configs
defaults       the values of the default config, as far as the space has them
grid           every point of a finite space
same_point     whether two trials have the same parameters
check_options  composes every option and the ends of every parameter, before any trial
"""
