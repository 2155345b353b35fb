"""What a study leaves behind: its best trials, as files, folders and commands.

results        the results file, and the lines at the end of a command
  front          the best trials, and the member of a Pareto front that the user chose
  front_text     the front as lines, and as a script of commands
  missing        the points that failed
  ending         why the study has ended before it ran all of its trials
  ended_trial    the command that trains a trial again
  deviation      the values of a trial with several seeds
  trial_folder   where the files of a trial are
  best_folder    the links to them in `best/`
"""
