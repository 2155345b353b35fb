"""Points and trials that a study takes over from other studies and runs, where the spaces agree.

elsewhere      reads the sources of `enqueue_from`, and says what was taken from each
  sources        the values of the key
  study_source   the trials of an Optuna study; `address` says where it is
  mlflow_source  the runs of an MLflow experiment
  finding        a trial of a source, and which are the best
  fitting        the part of one that lies in the space
"""
