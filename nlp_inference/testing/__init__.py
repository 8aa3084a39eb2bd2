"""Checks of the laws of transforms, for custom transforms, similar to `check_estimator` of scikit-learn.

The laws are those of `docs/architecture.md`; the same checks test the built-in transforms.
"""

from nlp_inference.testing.post_transforms import check_post_transform
from nlp_inference.testing.transforms import check_transform

__all__ = ["check_post_transform", "check_transform"]
