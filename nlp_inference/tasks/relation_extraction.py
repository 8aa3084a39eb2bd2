"""Spans, and labeled relations between them."""

from collections.abc import Mapping, Sequence
from itertools import islice
from re import compile as regex
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation, Document, Relation, Span
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import Row
from nlp_inference.encoding.span_pairs import HEAD, TAIL, PairVectors
from nlp_inference.encoding.words import WordRule
from nlp_inference.tasks.base import Arrays, LostRelation, LostSpan, Task
from nlp_inference.tasks.labels import check_labels, label_settings
from nlp_inference.tasks.numeric import CERTAIN, sigmoid
from nlp_inference.tasks.relation_rules import RelationRules, relation_rules
from nlp_inference.tasks.relation_windows import (
    Candidates,
    combine_windows,
    gold_of_windows,
    in_tokens,
    related_pairs,
    span_key,
)
from nlp_inference.tasks.span_classification import (
    RawSpan,
    SpanClassification,
    UnitSpan,
    best_spans,
    window_spans,
    windows_with,
)
from nlp_inference.tasks.units import Units, read_units, why_lost

ACROSS_WINDOWS = "no window contains both of its spans"
SAME_WORDS = "its two spans cover the same words"
TOO_MANY_SPANS = "more spans in a window than max_spans"
TOO_MANY_RELATIONS = "more relations in a window than max_relations, or of one head than max_per_head"
"""Causes of `LostRelation`, in addition to those of its spans."""

_PROBES = regex(r"\S+(?:\s\S+)?")
_MOST_PROBES = 16

PositiveInt = Annotated[int, Field(gt=0)]


class RelationExtraction(Task):
    """Find labeled spans and the labeled, directed relations between them.

    One model scores spans and relations in one forward pass (`nlp_inference.architectures.relations`). Two spans are
    compared if a window contains both; a relation between spans that no window contains together cannot be found.

    Args:
        labels: the labels of relations, such as `("works_for", "lives_in")`.
        span_labels: the labels of spans, such as `("PERSON", "CITY")`.
        spans: between which spans relations are predicted: those that the model finds (`predicted`), or those that a
            caller supplies (`given`), as `document.predicted.spans`, for example of another model. The model learns
            both in every training, so that this can be changed afterwards.
        words: the definition of a word, as for `token-classification`. Spans start and end where words do.
        threshold: the probability above which two spans have a relation.
        span_threshold: the probability above which a range of words is a span.
        max_spans: how many spans of a window are predicted at most, those with the highest scores. Memory grows with
            its square. All given spans are compared.
        max_relations: how many relations of a window are predicted at most, those with the highest scores.
        types: for a label, the allowed labels of its head and its tail: `{"lives_in": [("PERSON", "CITY")]}`. Others
            may have any.
        symmetric: labels of relations that hold in both directions, such as `("spouse",)`.
        inverses: for a label, the label of the same relation from tail to head: `{"parent": "child"}`.
        max_per_head: the most relations of a label with the same head, one number for all labels or one for each; those
            with the highest scores are kept.

    A relation never links a span to itself. A symmetric relation, and one with an inverse, is predicted in both
    directions with the mean of both scores, and gold in one direction counts in both. The score of a relation is its
    probability, independent of that of its spans and of other relations.

    Example:
        >>> task = RelationExtraction(labels=("lives_in",), span_labels=("PERSON", "CITY"))
        >>> task.model_settings()["id2label"], task.model_settings()["relation_labels"]
        ({0: 'PERSON', 1: 'CITY'}, ['lives_in'])

    Raises:
        pydantic.ValidationError: labels are repeated or missing, or a rule names an unknown label or contradicts
            another one.
    """

    name = "relation-extraction"
    auto_model = "AutoModelForRelationExtraction"
    pipeline_tag = "token-classification"
    outputs = ("logits", "links", "edges", "types", "weights")
    needs = "relations"
    own_loss = True
    has_pipeline: ClassVar[bool] = False

    labels: tuple[str, ...]
    span_labels: tuple[str, ...]
    spans: Literal["predicted", "given"] = "predicted"
    words: WordRule = "unicode"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    span_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    max_spans: PositiveInt = 128
    max_relations: PositiveInt = 256
    types: dict[str, tuple[tuple[str, str], ...]] = Field(default_factory=dict)
    symmetric: tuple[str, ...] = ()
    inverses: dict[str, str] = Field(default_factory=dict)
    max_per_head: PositiveInt | dict[str, PositiveInt] | None = None

    _check_labels = field_validator("labels", "span_labels")(check_labels)

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        _ = self.rules
        return self

    @property
    def word_rule(self) -> WordRule:
        """The field `words`."""
        return self.words

    @cached
    def rules(self) -> RelationRules:
        """The rules of relations, by ids of labels."""
        most = self.max_per_head
        return relation_rules(
            self.labels,
            self.span_labels,
            types=self.types,
            symmetric=self.symmetric,
            inverses=self.inverses,
            max_per_head=dict.fromkeys(self.labels, most) if isinstance(most, int) else most,
        )

    @cached
    def finder(self) -> SpanClassification:
        """The task that finds the spans."""
        return SpanClassification(labels=self.span_labels, words=self.words, threshold=self.span_threshold)

    @cached
    def _least_logit(self) -> float:
        return float(np.log(self.threshold / (1 - self.threshold)))

    def model_settings(self) -> dict[str, Any]:
        """Return `num_labels` and the names of the labels of spans, and `relation_labels`."""
        return {**label_settings(self.span_labels), "relation_labels": list(self.labels)}

    def input_problem(self, document: Document) -> str | None:
        """Say that spans are missing, or have unknown labels, if a caller has to supply them."""
        if self.spans != "given":
            return None
        if document.predicted is None and document.gold is None:
            return (
                f"has no spans, and the task {self.name!r} is set to spans: given; supply them as in "
                '{"text": ..., "predicted": {"spans": [{"start": 0, "end": 3, "label": ...}]}}, or set spans: predicted'
            )
        unknown = next((one for one in _given(document) if one.label not in self.span_labels), None)
        return None if unknown is None else self._unknown_span(unknown)

    def as_input(self, document: Document) -> Document:
        """Return the document without gold; if a caller has to supply the spans, with those of the gold."""
        plain = document.unannotated()
        if self.spans != "given":
            return plain
        annotation = document.gold or document.predicted
        supplied = None if annotation is None else Annotation(spans=annotation.spans)
        return plain.model_copy(update={"predicted": supplied})

    def as_probe(self, document: Document) -> Document:
        """Add some spans of up to two words, if a caller has to supply them."""
        if self.spans != "given" or document.predicted is not None:
            return document
        words, labels = islice(_PROBES.finditer(document.raw_text), _MOST_PROBES), self.span_labels
        spans = (
            Span(start=found.start(), end=found.end(), label=labels[number % len(labels)])
            for number, found in enumerate(words)
        )
        return document.model_copy(update={"predicted": Annotation(spans=tuple(spans))})

    def gold_problem(self, gold: Annotation) -> str | None:
        """Refuse spans with unknown labels, and relations between spans that `types` does not allow."""
        unknown = next((span for span in gold.spans if span.label not in self.span_labels), None)
        if unknown is not None:
            return self._unknown_span(unknown)
        for one in gold.relations:
            head, tail = gold.spans[one.head], gold.spans[one.tail]
            if one.label in self.labels and not self._allows(head, tail, one.label):
                allowed = self.rules.allowed[..., self.labels.index(one.label)]
                names = (f"{self.span_labels[a]} to {self.span_labels[b]}" for a, b in np.argwhere(allowed))
                return (
                    f"has a relation {one.label!r} from {_shown(head)} to {_shown(tail)}, which types does not allow; "
                    f"it allows {', '.join(names)}. Correct the relation, or add the labels to types"
                )
        return None

    def complete_gold(self, gold: Annotation) -> Annotation:
        """Add the other direction of symmetric relations, and of those that have an inverse."""
        known = {(one.head, one.tail, one.label) for one in gold.relations}
        added = []
        for one in gold.relations:
            label = self.labels.index(one.label) if one.label in self.labels else None
            other = None if label is None else self.rules.mirrored((one.head, one.tail, label))
            if other is not None and (*other[:2], self.labels[other[2]]) not in known:
                known.add((*other[:2], self.labels[other[2]]))
                added.append(Relation(head=other[0], tail=other[1], label=self.labels[other[2]]))
        return gold.model_copy(update={"relations": (*gold.relations, *added)}) if added else gold

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return the spans and the relations of each row, as integers.

        `labels` is `[spans, 3]`: the tokens of the first and the last word of each span, and its label id.
        `relation_labels` is `[relations, 3]`: the positions of head and tail among these spans, and the label id.

        Raises:
            InvalidDocumentError: the document has no gold, or gold of an unknown label.
        """
        targets = []
        gold = self.complete_gold(encoded.document.gold or Annotation())
        windows = gold_of_windows(encoded, gold, finder=self.finder, labels=self.labels)
        for row, (spans, relations) in zip(rows, windows, strict=True):
            tokens = spans + np.array([row.content.start, row.content.start, 0])
            targets.append({"labels": tokens, "relation_labels": relations})
        return targets

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return outputs that are certain of the gold: a feature for each relation, which only its two spans have."""
        outputs: list[Arrays] = []
        for row, target in zip(rows, self.targets(encoded, rows), strict=True):
            spans, relations, tokens = target["labels"], target["relation_labels"], len(row.input_ids)
            size = max(1, len(relations))
            logits = np.full((tokens, tokens, len(self.span_labels)), -CERTAIN, dtype=np.float32)
            logits[tuple(spans.T)] = CERTAIN
            edges = np.zeros((tokens, 2, 2, size), dtype=np.float32)
            types = np.full((2, len(self.span_labels), size), -2, dtype=np.float32)
            weights = np.zeros((len(self.labels), 3 * size + 1), dtype=np.float32)
            weights[:, -1] = -CERTAIN
            for feature, (head, tail, label) in enumerate(relations.tolist()):
                for role, (first, last, kind) in ((HEAD, spans[head]), (TAIL, spans[tail])):
                    edges[first, 0, role, feature] = edges[last, 1, role, feature] = 1
                    types[role, kind, feature] = -1
                weights[label, feature] = 2 * CERTAIN
            links = np.zeros((tokens, 2, 2, 1), dtype=np.float32)
            outputs.append({"logits": logits, "links": links, "edges": edges, "types": types, "weights": weights})
        return outputs

    def given_in(self, encoded: EncodedDocument) -> list[NDArray[np.int64]] | None:
        """Return `[spans, 4]` for each window: first token, last token, label id and position of each given span.

        Tokens are counted from the start of the window.
        """
        if self.spans != "given":
            return None
        units = read_units(encoded, are_tokens=False)
        found: list[list[tuple[int, int, int, int]]] = [[] for _ in encoded.windows]
        for position, span in enumerate(_given(encoded.document)):
            touched = units.touched_by(encoded, span)
            if touched is not None:
                first, last, label = in_tokens(units, (*touched, self.span_labels.index(span.label)))
                for number in windows_with(encoded.windows, units, touched):
                    start = encoded.windows[number].start
                    found[number].append((first - start, last - start, label, position))
        return [np.array(one, dtype=np.int64).reshape(-1, 4) for one in found]

    def condense(self, row: Row, outputs: Arrays) -> Arrays:
        """Return the spans of a row, the relations between them that are above the threshold, and their logits."""
        if self.spans == "given":
            given = np.empty((0, 4), dtype=np.int64) if row.given is None else row.given
            found: dict[str, NDArray[Any]] = {"spans": given[:, :3], "positions": given[:, 3]}
        else:
            possible = self.finder.condense(row, outputs)
            best = _best(possible["logits"], self.max_spans)
            found = {name: array[best] for name, array in possible.items()}
        vectors = PairVectors(
            outputs["links"][row.content], outputs["edges"][row.content], outputs["types"], outputs["weights"]
        )
        pairs, logits = related_pairs(vectors, found["spans"], rules=self.rules, least_logit=self._least_logit)
        best = _best(logits, self.max_relations)
        return {**found, "pairs": pairs[best], "pair_logits": logits[best]}

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:
        """Return spans and relations, in the order of the text, in raw coordinates."""
        condensed = [
            output if "pairs" in output else self.condense(row, output)
            for row, output in zip(rows, outputs, strict=True)
        ]
        read = self._read_given if self.spans == "given" else self._read_predicted
        spans, candidates = read(encoded, condensed)
        chosen = self.rules.choose(combine_windows(encoded.windows, candidates))
        scores = sigmoid(np.array([*chosen.values()], dtype=np.float32)).tolist()
        relations = tuple(
            Relation(head=head, tail=tail, label=self.labels[label], score=score)
            for (head, tail, label), score in zip(chosen, scores, strict=True)
        )
        return Annotation(spans=spans, relations=relations)

    def lost_spans(self, encoded: EncodedDocument) -> list[LostSpan]:
        """Return the gold spans that no model can predict, each with the cause; none if a caller supplies them."""
        gold = encoded.document.gold or Annotation()
        if self.spans == "given" or not gold.spans:
            return []
        causes = {span_key(one.span): one.cause for one in self.finder.lost_spans(encoded)}
        found = {span_key(span) for span in self._perfect(encoded).spans}
        return [
            LostSpan(one, causes.get(span_key(one), TOO_MANY_SPANS)) for one in gold.spans if span_key(one) not in found
        ]

    def lost_relations(self, encoded: EncodedDocument) -> list[LostRelation]:
        """Return the gold relations that no model can predict, each with the cause."""
        gold = self.complete_gold(encoded.document.gold or Annotation())
        if not gold.relations:
            return []
        decoded = self._perfect(encoded)
        found = {_relation_key(decoded, one) for one in decoded.relations}
        units = read_units(encoded, are_tokens=False)
        causes = {span_key(one.span): one.cause for one in self.lost_spans(encoded)}
        lost = []
        for one in gold.relations:
            if _relation_key(gold, one) not in found:
                ends = gold.spans[one.head], gold.spans[one.tail]
                lost.append(LostRelation(one.label, *ends, self._why_lost(encoded, units, causes, ends)))
        return lost

    def _perfect(self, encoded: EncodedDocument) -> Annotation:
        """Return what a model that makes no mistake predicts."""
        given: Sequence[NDArray[np.int64] | None] = self.given_in(encoded) or [None] * len(encoded.windows)
        sizes = (window.end - window.start for window in encoded.windows)
        rows = [
            Row(np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), slice(0, size), one)
            for size, one in zip(sizes, given, strict=True)
        ]
        return self.decode(encoded, rows, self.perfect_outputs(encoded, rows))

    def _why_lost(
        self, encoded: EncodedDocument, units: Units, causes: Mapping[RawSpan, str], ends: tuple[Span, Span]
    ) -> str:
        """Return why no model can predict a relation between two spans; `causes` are those of lost spans."""
        touched = [units.touched_by(encoded, span) for span in ends]
        for span, one in zip(ends, touched, strict=True):
            cause = causes.get(span_key(span)) or (why_lost(encoded, units, span, None) if one is None else None)
            if cause is not None:
                return cause
        if touched[0] == touched[1] and ends[0].label == ends[1].label:
            return SAME_WORDS
        head, tail = (set() if one is None else {*windows_with(encoded.windows, units, one)} for one in touched)
        return TOO_MANY_RELATIONS if head & tail else ACROSS_WINDOWS

    def _read_given(
        self, encoded: EncodedDocument, condensed: Sequence[Arrays]
    ) -> tuple[tuple[Span, ...], list[Candidates]]:
        """Return the given spans, and those of each window."""
        found = []
        for window, one in zip(encoded.windows, condensed, strict=True):
            found.append(Candidates.of(one["spans"] + window.start, one["positions"].tolist(), one))
        return _given(encoded.document), found

    def _read_predicted(
        self, encoded: EncodedDocument, condensed: Sequence[Arrays]
    ) -> tuple[tuple[Span, ...], list[Candidates]]:
        """Return the predicted spans, and those of each window between which relations were scored."""
        units = read_units(encoded, are_tokens=False)
        scores: dict[UnitSpan, float] = {}
        for number, one in enumerate(condensed):
            scores |= window_spans(encoded.windows, number, units, one)
        keys = self.finder.raw_keys(encoded, units, scores)
        spans = best_spans(keys, scores.values())
        index = {span_key(span): position for position, span in enumerate(spans)}
        position = {in_tokens(units, unit): index[key] for unit, key in zip(scores, keys, strict=True)}
        found = []
        for window, one in zip(encoded.windows, condensed, strict=True):
            tokens = one["spans"] + np.array([window.start, window.start, 0])
            found.append(Candidates.of(tokens, [position.get(tuple(span), -1) for span in tokens.tolist()], one))
        return spans, found

    def _allows(self, head: Span, tail: Span, label: str) -> bool:
        ends = self.span_labels.index(head.label), self.span_labels.index(tail.label)
        return bool(self.rules.allowed[(*ends, self.labels.index(label))])

    def _unknown_span(self, span: Span) -> str:
        return (
            f"has the span {_shown(span)}, whose label is not among span_labels, which are "
            f"{', '.join(map(repr, self.span_labels))}; add it to span_labels of the task, or remove the span"
        )


def _best(scores: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """Return the positions of the highest scores, in order; of equal scores, the first."""
    best: NDArray[np.int64] = np.sort(np.argsort(-scores, kind="stable")[:most])
    return best


def _given(document: Document) -> tuple[Span, ...]:
    """Return the spans that a caller supplied with a document."""
    annotation = document.predicted or document.gold
    return () if annotation is None else annotation.spans


def _relation_key(annotation: Annotation, one: Relation) -> tuple[RawSpan, RawSpan, str]:
    return span_key(annotation.spans[one.head]), span_key(annotation.spans[one.tail]), one.label


def _shown(span: Span) -> str:
    return f"{span.start}:{span.end} {span.label}"
