"""From a study to its figures.

viewing        the study as plain values, from which `sweeper.figures.study` draws
importances    what each parameter mattered, by all trials that have reported
suggestions    what to try next
rehearsal      draws a small study before, so that the end of a real one need not import anything
saving         draws the figures, and compresses each while the next is drawn
"""
