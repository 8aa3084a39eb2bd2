"""The laws that every transform must keep, as checks to run on your own, as scikit-learn's `check_estimator` does.

The laws themselves are those of `docs/architecture.md`; the built-in transforms are tested by these very checks.
"""

from nlp_inference.testing.post_transforms import check_post_transform
from nlp_inference.testing.transforms import check_transform

__all__ = ["check_post_transform", "check_transform"]
