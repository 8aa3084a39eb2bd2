"""Checks of custom losses, augmentations, metrics and model classes; see docs/experiments.md.

The checks of transforms, `check_transform` and `check_post_transform`, are in `nlp_inference.testing`.
"""

from nlp_training.testing.architectures import check_architecture
from nlp_training.testing.augmentations import check_augmentation
from nlp_training.testing.losses import check_loss
from nlp_training.testing.metrics import check_metric

__all__ = ["check_architecture", "check_augmentation", "check_loss", "check_metric"]
