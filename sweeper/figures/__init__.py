"""Everything that draws: arrays, images and names in, a figure out. Nothing here reads or saves.

curves  confusion  grid_of_images  rankings  strings     one run, by the type of its labels
histograms  feature_sheets                               a look into the network
study_figures                                            Optuna's figures of a study
style                                                    what they share
"""
