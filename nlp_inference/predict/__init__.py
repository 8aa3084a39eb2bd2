"""Prediction: the Predictor, the route through processor and model, batches, workers."""
