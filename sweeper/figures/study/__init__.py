"""Figures of a study.

view             what they are drawn from: the trials, the parameters, the best trial
ticks            positions and texts of ticks
values           the axis of the objective's values
summary_picture  one picture that tells the study
history          the value of each trial, and the best so far
trial_curves     the learning curves of the trials
shares           what each parameter mattered
slices           a panel for each parameter
parallel         a line for each trial, through all of its parameters
pareto           the Pareto front of several objectives
timeline         which worker ran which trial, and when
drawn            all of them
"""
