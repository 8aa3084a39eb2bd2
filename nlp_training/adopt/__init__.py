"""Adoption of stock checkpoints of transformers: a fine-tuned model of others becomes a verified artefact.

What a checkpoint does not state is deduced, with evidence, and what is ambiguous is refused with the option that states
it. Predictions are compared with the stock way of using the model, text by text.
"""

from nlp_training.adopt.deduction import AmbiguousModelError, Deduction, UnsupportedModelError
from nlp_training.adopt.options import AdoptOptions, read_names
from nlp_training.adopt.run import Adoption, adopt

__all__ = [
    "AdoptOptions",
    "Adoption",
    "AmbiguousModelError",
    "Deduction",
    "UnsupportedModelError",
    "adopt",
    "read_names",
]
