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
study/             the figures of a study
style              the style of all of them, and the empty figure under its title
lettering          the width of texts, and their cut
drawing            from a figure to pixels, and from pixels to a file

Every figure says what it shows: the split, the number of images, the metric, the epoch and the
network. Only `drawing` saves files. `run.pictures` draws the figures of a run, `training.watch`
and `tracking` those of its network, `inspect` a network and images with boxes, `predict` its
images, `sweep` those of a study, and `explain` that of its winner.
"""
