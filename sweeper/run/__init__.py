"""A single run: start or resume it, train, evaluate the best network, and record everything.

    start         builds the experiment, loads the checkpoint, opens the tracked run; gives a `Run`
    run           `Run.execute`: trains with the callbacks, then evaluates the best network
      record      the params, tags, metrics and documents that the tracker receives
      naming      the name of the run on the tracker's page
      pictures    the figures that a run or an evaluation writes
      overview    the text that a run prints before it trains
      pointless   the values that are legal and cannot be meant
      closing     the text that a run prints at its end
    invocation    the command line that asked for the run, and the folders that it works in
    conclude      the score of a study's winner on the test split, which `sweeper.sweep` asks for
    restore       a trained network from its checkpoint, for `evaluate` and `predict`
      served      the same network as one module from images to probabilities, for others to serve
    trust       the check of the classes that the checkpoint's config names

`sweeper.app` calls `start` and then `Run.execute`. `sweeper.run(...)` is a call of `sweeper.api`.
"""

from sweeper import make_callable

make_callable(__name__)
