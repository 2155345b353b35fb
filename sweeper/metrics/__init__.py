"""The measures of a network's predictions on a split, such as accuracy or F1.

    meter          `Meter`: the mean loss of a pass over a split, and the measure of its labels
      measures     `Measure`, the protocol of a measure, and `Accuracy` for one class per image
        class_sets   `ClassSets` for a set of classes an image: mean average precision and F1
        transcripts  `Transcripts` for strings: sequence accuracy and character error rate
    output_reader  `OutputReader`, the protocol by which they read a network's outputs

An adapter of `losses` creates a `Meter` and is its `OutputReader`. The training loop and
`training.scoring` give it every batch.
"""
