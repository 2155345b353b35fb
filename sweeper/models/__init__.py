"""Image classifiers as plain `nn.Module`s: one file a family, logits out."""
