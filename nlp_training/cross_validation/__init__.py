"""Cross-validation: each training document is predicted by a model that was not trained on it."""
