"""Hydra plugins `hydra/sweeper=sweeper` and `hydra/launcher=local`.

    config     every setting of the two, with its meaning; the samplers and pruners
    sweeper    calls `sweeper.sweep.run_study`
    launcher   calls `sweeper.launch.local`

Every start of any Hydra application imports these modules, so they import the other folders only
when they are used.
"""
