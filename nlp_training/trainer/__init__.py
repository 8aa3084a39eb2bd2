"""The `transformers.Trainer` for Documents, its arguments, and the objects that it is made of."""

from nlp_training.trainer.trainer import DocumentTrainer

__all__ = ["DocumentTrainer"]
