"""The sampler of a study whose every point is preset."""

from optuna.samplers import RandomSampler


class GridSampler(RandomSampler):
    """Marks a study as a grid: its points are numbered, and nothing is left to sample."""
