"""Train, sweep and compare PyTorch image classifiers."""
