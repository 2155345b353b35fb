"""From the default config to the winner of a study: which change brought how much.

explanation     finds the winner, runs what is missing, and returns the path
  defaults_of     the values that the winner's options have by default
  ablation        the path, greedily, from the values of its points
  ablation_study  the command of the study that runs the missing points
  account         the path as a table, and in three sentences
"""
