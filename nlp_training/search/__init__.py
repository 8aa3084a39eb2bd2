"""Hyperparameter search for the configuration values with the best validation score."""
