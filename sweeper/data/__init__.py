"""Images on their way to a network: sources, the decoded cache, splits, batches, pictures back."""
