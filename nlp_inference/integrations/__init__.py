"""The Predictor as other libraries call it: `transformers.pipeline`, MLflow, Ray."""
