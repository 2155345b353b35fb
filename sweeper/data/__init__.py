"""Data sets, and the batches that a network is trained and evaluated on.

`sweeper.build` calls `prepare` for batches, and `describe` for shapes without reading images.

    prepare             a source and the settings of a run become an `ImageData`
      checked_splits    the splits of a source, with what is read of them checked
      placement         the choice between a resident tensor and streaming, for each split
        cache           decoded splits on disk, memory-mapped by later processes
          photo_cache   the same for photographs of different sizes
        contents        the digest of image files, which their place does not change
        photographs     photographs of different sizes in one array
        batches         batches of a split, from memory or from a DataLoader
      split             stratified, seeded indices of `train`, `val` and `test`
      kept              what a trial leaves to the next one of its worker
      inputs            the settings of sizes and transforms, and the steps that follow from them
        recognised      what is known of torchvision's transforms by their names
        framing         the arithmetic of `image_size` and `resize`
      pipeline          the steps of a batch: resizing, transforms and normalisation
        sizing          transforms on photographs of different sizes, until all have one size
          crop_boxes    the boxes of RandomResizedCrop
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
      file_source       the protocol of data sets of image files
      image_files       image files decoded by several threads
        decoding        one image file as upright, opaque pixels of the wanted size
      voc_lists  voc_annotations                                       the files of `voc`
"""
