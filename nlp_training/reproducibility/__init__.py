"""What is needed to get a run's weights again: its manifest, checkpoints that a kill leaves whole, `reproduce`."""
