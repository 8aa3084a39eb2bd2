"""Cross-validation: every training document predicted by a model that was not trained on it."""
