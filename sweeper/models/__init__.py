"""Image classifiers as plain `nn.Module`s that return logits, and tools to fill their weights.

    convnet      `ConvNet`: convolutions, then linear layers (LeNet, AlexNet, VGG)
    resnet       `ResNet`: residual networks of basic or bottleneck blocks
    crnn         `CRNN`: convolutions, then an LSTM over the columns, to read strings
    mlp          `MLP`: linear layers only; also the classifier at the end of a `ConvNet`
    torchvision  any classification model of torchvision by its name
      layers     activations, convolutions and blocks of them, which the models above share
      geometry   image sizes behind convolutions and poolings, computed before anything is built
    init         initial weights for a whole network from a function of `torch.nn.init`
    weights      weights of a checkpoint, copied into a network whose head or input may differ

A model option (`conf/model/`) names one of the first five. `sweeper.build` calls it with the
`input_shape` and `num_classes` of the data, and then `init` and `weights`.
"""
