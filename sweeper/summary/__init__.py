"""Facts about a network that need no training: its layers, its memory, and its feature maps.

    table            `summarise` a network: a table of its layers, their totals, and the memory
      rows           a row for each call of a layer: output shape, parameters, multiply-adds, bytes
        receptive_field  the receptive field of every tensor in a forward pass
          field          a receptive field, and how convolutions and poolings change it
      memory         the memory of a training batch
    graph            `graph_of` a network: its layers, and which outputs they take
    feature_maps     the outputs of chosen layers before and after their activation
    calls            the calls of torch's functions, for all of these but memory

`run` and `sweeper.inspect` call `summarise`, `sweeper.inspect` calls `graph_of`, and
`training.watch` calls `feature_maps`.
"""
