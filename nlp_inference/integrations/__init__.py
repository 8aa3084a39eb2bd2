"""Integrations of the Predictor with other libraries: `transformers.pipeline`, MLflow, Ray."""
