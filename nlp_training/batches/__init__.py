"""Documents to training batches: windows, samplers, streams, the collator."""
