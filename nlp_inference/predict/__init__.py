"""Documents in, predictions out: the Predictor, the route through processor and model, batches, workers."""
