"""What is measured of a network's predictions: one measure for each type of labels, and the meter.

`Meter` adds up the loss of a pass over a split, and holds the measure that fits the labels:
`Accuracy` for one class an image, `ClassSets` for sets of classes, `Transcripts` for strings.
All of them see a loss through the protocol `OutputReader` alone.
"""
