"""From the default config to the winner of a study: which change brought how much.

explanation     finds the winner, runs what is missing, and returns the path
  differences     what the winner has changed, and what belongs to its options
  defaults_of     the default config, and its options
  ablation        the path, greedily, from the values of its points
  ablation_study  the command of the study that runs the missing points
  enqueued        the values of such a point that no search space of overrides can give
  account         the path as a table, and in a few sentences
"""
