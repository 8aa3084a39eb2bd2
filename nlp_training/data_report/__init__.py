"""Checks of data with the processor before training: the label ceiling, leaks, labels, edges, lengths."""
