"""Heads of a shared encoder: hidden states in, named outputs out.

A task names its head in `Task.encoder_head`. Heads whose targets depend on each other have their own loss.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nlp_inference.architectures.crf import LinearChainCrf
from nlp_inference.architectures.pooling import make_pooling
from nlp_inference.architectures.spans import SpanHead, span_loss
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidSpecError


class EncoderHead(nn.Module):
    """A head of an encoder.

    Args:
        hidden_size: of the encoder.
        labels: number of outputs, such as labels or tags.
        dropout: probability of dropout before the head.
        pooling: how a head of texts pools the tokens, a key of `POOLINGS`.
    """

    def __init__(self, hidden_size: int, labels: int, *, dropout: float, pooling: str) -> None:  # noqa: ARG002
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size, labels)

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the outputs of the head by name.

        Args:
            states: `[rows, tokens, hidden]`, the last hidden states of the encoder.
            mask: `[rows, tokens]`, 0 for padding.
        """
        raise NotImplementedError

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, mask: Tensor) -> Tensor | None:  # noqa: ARG002
        """Return the mean loss of rows that have gold, `[]`; `None` if a loss of training computes it from `logits`.

        Args:
            outputs: of the head.
            labels: the targets of its task.
            mask: `[rows, tokens]`, 0 for padding.
        """
        return None

    def loss_items(self, labels: Tensor) -> Tensor:
        """Return how many items `loss` is the mean of, `[]`."""
        return (labels != IGNORED).sum()


class TokenHead(EncoderHead):
    """One linear layer on each token: `logits` `[rows, tokens, labels]`."""

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - padding is not read
        """Return the logits of each token."""
        return {"logits": self.classifier(self.dropout(states))}


class TextHead(EncoderHead):
    """One linear layer on the pooled tokens: `logits` `[rows, labels]`."""

    def __init__(self, hidden_size: int, labels: int, *, dropout: float, pooling: str) -> None:
        super().__init__(hidden_size, labels, dropout=dropout, pooling=pooling)
        self.pooling = make_pooling(pooling, hidden_size=hidden_size)

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the logits of each row; padding is not pooled."""
        return {"logits": self.classifier(self.dropout(self.pooling(states, mask)))}


class CrfHead(TokenHead):
    """A conditional random field on each token: `logits` `[rows, tokens, tags]`, `transitions` `[rows, tags, tags]`."""

    def __init__(self, hidden_size: int, labels: int, *, dropout: float, pooling: str) -> None:
        super().__init__(hidden_size, labels, dropout=dropout, pooling=pooling)
        self.crf = LinearChainCrf(labels)

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the logits of each token, and the scores of transitions, equal in all rows."""
        outputs = super().forward(states, mask)
        transitions = self.crf.transitions.to(states.dtype).expand(states.shape[0], -1, -1)
        return {**outputs, "transitions": transitions}

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002
        """Return the negative log-likelihood of the tags of each row, divided by the number of tags."""
        return self.crf.loss(outputs["logits"], labels)


class SpansHead(EncoderHead):
    """Scores of all token ranges: `logits` `[rows, tokens, tokens, labels]`; see `SpanHead`."""

    def __init__(self, hidden_size: int, labels: int, *, dropout: float, pooling: str) -> None:
        super().__init__(hidden_size, labels, dropout=dropout, pooling=pooling)
        self.span_head = SpanHead(hidden_size, labels)

    def forward(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:  # noqa: ARG002 - padding is not read
        """Return the scores of all ranges."""
        return {"logits": self.span_head(states, self.classifier(self.dropout(states)))}

    def loss(self, outputs: Mapping[str, Tensor], labels: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of `span_loss`."""
        return span_loss(outputs["logits"], labels, mask)

    def loss_items(self, labels: Tensor) -> Tensor:
        """Return the number of rows; a row without spans is learned, too."""
        return torch.tensor(len(labels), device=labels.device)


HEADS: dict[str, type[EncoderHead]] = {"text": TextHead, "token": TokenHead, "crf": CrfHead, "span": SpansHead}
"""The heads by the names in `Task.encoder_head`."""


def make_head(settings: Mapping[str, Any], *, hidden_size: int, dropout: float, pooling: str = "mean") -> EncoderHead:
    """Return a new head.

    Args:
        settings: `kind`, a key of `HEADS`, and `labels`, the names of its outputs.
        hidden_size: of the encoder.
        dropout: probability of dropout before the head.
        pooling: how a head of texts pools the tokens, a key of `POOLINGS`.

    Raises:
        InvalidSpecError: there is no such kind of head.
        ArtefactError: there is no such pooling.
    """
    kind = settings.get("kind")
    if kind not in HEADS:
        raise InvalidSpecError(f"there is no head {kind!r} for a shared encoder; known: {', '.join(HEADS)}")
    return HEADS[kind](hidden_size, len(settings["labels"]), dropout=dropout, pooling=pooling)
