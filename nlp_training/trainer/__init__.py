"""The `transformers.Trainer` for Documents, its arguments, and its components."""

from nlp_training.trainer.trainer import DocumentTrainer

__all__ = ["DocumentTrainer"]
