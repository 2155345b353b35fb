"""One run's life: start it, train, score the best network, record both; take it up again.

start      a config becomes a `Run`: its experiment is built, its record is opened
run        training, then the score of the best network on the test split
record     what is recorded of it: config, epochs, tags, documents
pictures   the figures that are drawn of it
closing    what it tells a person when it ends
restore    a trained network from its checkpoint; `trust` decides what that may call
"""
