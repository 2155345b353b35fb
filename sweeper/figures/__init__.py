"""Figures: functions that take arrays, images and names and return a figure.

curves             loss and measures of a run by epoch
confusion          the confusion matrix of data with one class per image
rankings           the average precision of each class, for data with sets of classes
strings            the accuracy by length, for data with strings
grid_of_images     images under their titles
boxes              images with the named boxes of their objects
histograms         the distributions of weights and gradients, layer by layer
network_graph      the layers of a network as boxes, and the ways between them
feature_sheets     the feature maps of a layer
waterfall          what each of several changes added to a value
study_figures      Optuna's figures of a study
timeline           which worker ran which trial of a study, and when
cropped            saves a figure of a study without its margins
style              the canvas and the titles of all of them

Nothing else here reads or saves files. `run.pictures` draws the figures of a run, `training.watch`
and `tracking` those of its network, `inspect` a network and images with boxes, `predict` its
images, `sweep` those of a study, and `explain` that of its winner.
"""
