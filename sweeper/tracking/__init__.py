"""Records of runs: the `Tracker` protocol, and the trackers that implement it.

tracker               the protocol `Tracker`, `NullTracker`, and what a run reports about itself
mlflow                `MLflowTracker`: writes records to an outbox
    outbox            the records of one run on disk, and the files that belong to them
      record_file     the file that holds the records
      records         the format of the records, and the check of each of them
      scan            finds the records in the file of an outbox, and what is damaged
      delivered       how many of them are delivered, and which ones are put off
      damaged         the folder for what cannot be delivered
    background        delivers them while the run trains, or hands the outbox to the courier
    delivery          sends the records of an outbox to MLflow; `deliver` is the command for it
    courier           delivers the outboxes of a study's trials in one process
    model_files       a network as the files of an MLflow model
    system_metrics    the use of processor, memory and GPU, in a thread of its own
    store             each kind of record as calls of MLflow's client
      known_runs      the runs that MLflow has already, by their ids, keys and tags
      earlier_points  what the earlier attempts at a run have logged
      refusals        which requests the server will always refuse
      blank           a blank database, so that MLflow need not create each one anew
      imported        the import of MLflow, without its telemetry and its warnings
      schema_version  whether the installed MLflow can read a local database
    logged_model      the models of runs and of studies, and MLflow's registry of them
    uri               the tracking URI: default value, check, and the password that records lack
tensorboard           `TensorBoardTracker`: writes event files into the run's folder
    events            reading and writing event files; the only importer of TensorBoard's reader
metrics_file          `CsvTracker`: writes `metrics.csv` and `hparams.yaml` into the run's folder
several               several trackers as one; `tracking=all` is MLflow and TensorBoard
tags                  names of MLflow tags that link runs to studies, trials and each other
study_page            the parent run of a study; `sweep` uses it, with `store`

`build` instantiates the tracker of the option `tracking`; `run` and `training` call it.
"""
