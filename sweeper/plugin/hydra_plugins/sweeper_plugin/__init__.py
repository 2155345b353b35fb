"""Hydra plugins `hydra/sweeper=sweeper` and `hydra/launcher=local`.

    config     registers the two, whose settings are in `sweeper.hydra_settings`; the samplers and
               pruners
    sweeper    calls `sweeper.sweep.run_study`
    launcher   calls `sweeper.launch.local`

Every start of any Hydra application imports these modules, so they import the other folders only
when they are used.
"""
