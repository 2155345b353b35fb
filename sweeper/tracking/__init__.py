"""Where runs are recorded: the tracker seam, MLflow behind it, and figures."""
