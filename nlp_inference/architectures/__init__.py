"""Torch modules that the Hub does not have, and the loading of weights into any module. Importing this loads torch."""

from nlp_inference.architectures.checkpoint_report import CheckpointReport, Mismatch
from nlp_inference.architectures.checkpoints import load_checkpoint
from nlp_inference.architectures.own import architecture

__all__ = ["CheckpointReport", "Mismatch", "architecture", "load_checkpoint"]
