"""Spans that do not overlap, as tags that depend on adjacent tags."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.tasks.base import Arrays, DocumentOutputs
from nlp_inference.tasks.linear_chain import tag_chains
from nlp_inference.tasks.token_classification import Tagged, TokenClassification


class CrfTokenClassification(TokenClassification):
    """Find labeled spans that do not overlap, with a conditional random field.

    In addition to the logits of each tag, the model learns the score of each transition between tags, and is trained on
    complete sequences of tags. Prediction excludes transitions that the scheme forbids.

    Args:
        labels, scheme, words, temperature, outside_bias: as for `token-classification`.
        aggregation: `first` uses the logits of a word's first token; `none` tags tokens.

    Spans are the valid tag sequence with the highest score. A span's score is the mean, over its units, of the marginal
    probability of its tag.

    Example:
        >>> task = CrfTokenClassification(labels=("CITY",), scheme="BIOES")
        >>> task.outputs, task.model_settings()["num_labels"]
        (('logits', 'transitions'), 5)
    """

    name = "crf-token-classification"
    auto_model = "AutoModelForCrfTokenClassification"
    encoder_head = "crf"
    outputs = ("logits", "transitions")
    own_loss = True

    aggregation: Literal["first", "none"] = "first"

    @property
    def _only_units_learn(self) -> bool:
        return True

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return logits that are certain of the gold tags, and equal scores for all transitions."""
        tags = len(self.tag_scheme.tags)
        transitions = np.zeros((tags, tags), dtype=np.float32)
        return [{**output, "transitions": transitions} for output in super().perfect_outputs(encoded, rows)]

    def _tag(self, logits: NDArray[np.float32], begins: Sequence[int], outputs: Sequence[DocumentOutputs]) -> Tagged:
        scale, scheme = np.float32(1 / self.temperature), self.tag_scheme
        moves = [scale * one.outputs[0]["transitions"] + scheme.forbidden for one in outputs]
        starts, ends = (np.where(allowed, 0.0, -np.inf) for allowed in (scheme.starts, scheme.ends))
        found = tag_chains(np.split(scale * logits, begins[1:]), moves, starts=starts, ends=ends)
        tags, certain = zip(*found, strict=True)
        return Tagged(np.concatenate(tags), np.concatenate(certain))
