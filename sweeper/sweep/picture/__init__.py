"""From a study to its figures.

view           the study as plain values, from which `sweeper.figures.study` draws
importances    what each parameter mattered, by all trials that have reported
advice         what to try next
saving         draws the figures, and writes each while the next is drawn
"""
