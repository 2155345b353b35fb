"""Data sets, and the batches that a network is trained and evaluated on.

`sweeper.build` calls `prepare` for batches, and `describe` for shapes without reading images.

    prepare             a source and the settings of a run become an `ImageData`
      placement         the choice between a resident tensor and streaming, for each split
        cache           decoded splits on disk, memory-mapped by later processes
        batches         batches of a split, from one tensor or from a DataLoader
      split             stratified, seeded indices of `train`, `val` and `test`
      kept              what a trial leaves to the next one of its worker
      pipeline          resizing, transforms and normalisation of a batch
        augment         torchvision's transforms with random parameters for every image
          per_sample    crop, erase and rotate with one parameter an image
      normalise         normalisation by constants from the config or from `statistics`
        statistics      mean and standard deviation of the training images, cached
    image_data          the prepared data set: batches by split and epoch
      inverse           normalised images back to PIL images
      profile           the part of it that a checkpoint stores
    describe            the input shape and the number of classes

    source              the protocol that every data set follows, and labels as text
      digits  digit_strings  torchvision_sets  image_folder  voc       the data sets
      image_files       image files decoded with Pillow
      voc_lists  voc_annotations                                       the files of `voc`
"""
