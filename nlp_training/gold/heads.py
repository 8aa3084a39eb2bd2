"""Gold of several heads: each has its own kind of gold, and each document has gold for some of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field, SerializeAsAny, field_validator

from nlp_inference._utils.cached import cached
from nlp_inference.document import Annotation, Document
from nlp_inference.document.annotation import qualified
from nlp_inference.errors import InvalidSpecError
from nlp_training.gold.base import Compared, GoldKind, Learnable, Mistake, Value
from nlp_training.metrics.documents import DocumentMetric, Part, RunningScores, Score

COMBINED = "combined"
"""The name of the score that selects the best weights: the mean of one score of each head."""


class Heads(GoldKind):
    """The gold of several heads, as `Annotation.heads`; each head has its own kind of gold.

    A head that is missing in the gold of a document is not annotated, and not scored with this document. Scores have
    the name of their head and `_` in front, as in `intent_accuracy`; labels have the name and a slash, as in
    `intent/play`. The complete scores of each head are under `heads`.

    Args:
        kinds: the kind of gold of each head.
        best: the score that counts in `combined`, for heads whose task names one.
        flat: the heads whose spans must not overlap.
        selection: the weights of scores in `combined`; by default the best score of each head, alike.

    Example:
        >>> kind = Heads(kinds={"intent": "category", "slots": "spans"})
        >>> kind.labels(Annotation.model_validate({"heads": {"intent": {"categories": [{"label": "play"}]}}}))
        ['intent/play']
        >>> kind.combined_scores
        {'intent_accuracy': 1.0, 'slots_f1': 1.0}
    """

    name = "heads"
    noun = "annotations of heads"

    kinds: dict[str, SerializeAsAny[GoldKind]] = Field(default_factory=dict)
    best: dict[str, str] = Field(default_factory=dict)
    flat: tuple[str, ...] = ()
    selection: dict[str, float] = Field(default_factory=dict)

    @field_validator("kinds", mode="before")
    @classmethod
    def _from_specs(cls, kinds: Mapping[str, Any]) -> dict[str, GoldKind]:
        return {name: GoldKind.from_spec(spec) for name, spec in kinds.items()}

    @property
    def parts(self) -> Mapping[str, GoldKind]:
        """The kinds of the heads."""
        return self.kinds

    @cached
    def combined_scores(self) -> dict[str, float]:
        """The weight of each score in `combined`.

        Raises:
            InvalidSpecError: `selection` names a score that no head has.
        """
        if not self.selection:
            best = {name: self.best.get(name) or _first_greater(kind.metric) for name, kind in self.kinds.items()}
            return {f"{name}_{score}": 1.0 for name, score in best.items()}
        known = [score.name for score in self._scores_of_heads()]
        if unknown := [name for name in self.selection if name not in known]:
            raise InvalidSpecError(f"selection names {unknown[0]!r}, but the scores are {', '.join(known)}")
        return dict(self.selection)

    @cached
    def metric(self) -> DocumentMetric:
        """The metrics of all heads, and `combined`."""
        return DocumentMetric(
            main=Part(lambda: _ScoresOfHeads(self), self._views),
            further={},
            paired=lambda: _PairedTests(self),
            scores=(Score(COMBINED), *self._scores_of_heads()),
        )

    def _scores_of_heads(self) -> list[Score]:
        return [
            Score(f"{name}_{score.name}", greater_is_better=score.greater_is_better)
            for name, kind in self.kinds.items()
            for score in kind.metric.scores
        ]

    def _views(self, document: Document, gold: Annotation) -> tuple[Any, Any]:
        """Return what the metrics of each annotated head compare: predictions and references by head."""
        views: dict[str, list[tuple[Any, Any]]] = {}
        for name, of_head in gold.heads.items():
            if name in self.kinds and (view := view_of_head(document, name)) is not None:
                views[name] = self.kinds[name].metric.view(view, of_head)
        found = {name: [one for one, _ in pairs] for name, pairs in views.items()}
        return found, {name: [one for _, one in pairs] for name, pairs in views.items()}

    @property
    def mistakes(self) -> Mapping[str, str]:  # type: ignore[override]  # it depends on the heads
        """The kinds of mistakes of all heads."""
        return {name: meaning for kind in self.kinds.values() for name, meaning in kind.mistakes.items()}

    @property
    def has_spans(self) -> bool:  # type: ignore[override]  # it depends on the heads
        """Whether a head has spans."""
        return any(kind.has_spans for kind in self.kinds.values())

    @property
    def shows_spans(self) -> bool:  # type: ignore[override]  # it depends on the heads
        """Whether the mistakes of a head are pairs of spans."""
        return any(kind.shows_spans for kind in self.kinds.values())

    @property
    def confuses_labels(self) -> bool:  # type: ignore[override]  # it depends on the heads
        """Whether labels of a head can be predicted in place of each other."""
        return any(kind.confuses_labels for kind in self.kinds.values())

    @property
    def pairs_shown(self) -> int:  # type: ignore[override]  # it depends on the heads
        """The largest number of any head."""
        return max((kind.pairs_shown for kind in self.kinds.values()), default=0)

    def labels(self, gold: Annotation) -> list[str]:
        """Return the labels of each head with its name, as in `intent/play`."""
        return [qualified(name, label) for name, kind, one in self._of(gold) for label in kind.labels(one)]

    def numbers(self, annotation: Annotation) -> Mapping[str, float]:
        """Return the numbers of each head with its name."""
        of_heads = ((name, kind.numbers(one)) for name, kind, one in self._of(annotation))
        return {qualified(name, key): number for name, numbers in of_heads for key, number in numbers.items()}

    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return what is compared of each head, with its name in front of the label."""
        return [
            one._replace(label=qualified(name, one.label))
            for name, kind, of_head in self._of(annotation)
            for one in kind.compared(of_head)
        ]

    def problem(self, gold: Annotation) -> str | None:
        """Refuse gold without a head, for an unknown head, and what the kind of a head refuses."""
        named = ", ".join(map(repr, self.kinds))
        if unknown := [name for name in gold.heads if name not in self.kinds]:
            return f"has gold for the head {unknown[0]!r}, but the heads are {named}. Correct the name, or remove it"
        if not gold.heads:
            return f"has no gold for any of the heads {named}. Write it under `heads`, or name its columns"
        problems = ((name, kind.problem(one)) for name, kind, one in self._of(gold))
        return next((f"(head {name!r}) {problem}" for name, problem in problems if problem is not None), None)

    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:  # noqa: ARG002
        """Keep what the task of each head can learn."""
        kept: dict[str, Annotation] = {}
        lost: list[tuple[Compared, str]] = []
        for name, kind, one in self._of(gold):
            known = None if labels is None else [label.removeprefix(f"{name}/") for label in labels]
            found = kind.learnable(one, labels=known, flat=name in self.flat)
            lost += [(item._replace(label=qualified(name, item.label)), cause) for item, cause in found.lost]
            if found.annotation is not None:
                kept[name] = found.annotation
        if not kept:
            return Learnable(None, lost)
        return Learnable(gold.model_copy(update={"heads": kept}) if lost else gold, lost)

    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Compare the annotated heads; labels have the name of their head."""
        for name, kind, one in self._of(gold):
            for mistake in kind.find_mistakes(predicted.heads.get(name) or Annotation(), one):
                yield Mistake(mistake.name, _named(name, mistake.gold), _named(name, mistake.predicted))

    def _of(self, annotation: Annotation) -> Iterator[tuple[str, GoldKind, Annotation]]:
        """Yield the heads that an annotation has, with their kinds."""
        for name, kind in self.kinds.items():
            if (one := annotation.heads.get(name)) is not None:
                yield name, kind, one


def view_of_head(document: Document, head: str) -> Document | None:
    """Return a document with the gold and the prediction of a head; `None` if the gold does not annotate it.

    A document without gold is kept; the head `""` is the document itself.
    """
    if not head:
        return document
    gold = None if document.gold is None else document.gold.head(head)
    if document.gold is not None and gold is None:
        return None
    predicted = None if document.predicted is None else (document.predicted.head(head) or Annotation())
    return document.model_copy(update={"gold": gold, "predicted": predicted})


def documents_of_head(documents: Sequence[Document], head: str) -> list[Document]:
    """Return the documents whose gold annotates a head, with this gold."""
    views = (view_of_head(document, head) for document in documents if document.gold is not None)
    return [view for view in views if view is not None]


class HeadScores(NamedTuple):
    """The scores of one head of a data set: its name (empty for the data set itself), the head, and the scores."""

    data: str
    head: str
    scores: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The name of the data set, and of the head."""
        return f"{self.data}, {self.head}" if self.head else self.data

    @property
    def documents(self) -> int:
        """How many documents were scored, if it is known."""
        count: int = (self.scores.get("coverage") or {}).get("documents", 0)
        return count


def scores_of_heads(metrics: Mapping[str, Mapping[str, Any]]) -> list[HeadScores]:
    """Return the scores of each data set, and then those of each of its heads.

    Example:
        >>> metrics = {"test": {"combined": 0.5, "heads": {"intent": {"accuracy": 0.5}}}}
        >>> [one.title for one in scores_of_heads(metrics)]
        ['test', 'test, intent']
    """
    found: list[HeadScores] = []
    for data, scores in metrics.items():
        found.append(HeadScores(data, "", scores))
        found += [HeadScores(data, head, one) for head, one in scores.get("heads", {}).items()]
    return found


class _ScoresOfHeads:
    """The metrics of all heads, with the interface of `evaluate.Metric`."""

    def __init__(self, kind: Heads) -> None:
        self.kind = kind
        self.running = {name: RunningScores(one.metric) for name, one in kind.kinds.items()}

    def add_batch(self, *, predictions: Sequence[Any], references: Sequence[Any]) -> None:
        """Add the views of documents, by head."""
        for name, running in self.running.items():
            running.add(
                [
                    list(zip(found[name], wanted[name], strict=True))
                    for found, wanted in zip(predictions, references, strict=True)
                    if name in found
                ]
            )

    def compute(self, *, resamples: int | None = None) -> dict[str, Any]:
        """Return `combined`, the scores of each head with its name in front, and all of them under `heads`."""
        heads = {
            name: running.compute(details=resamples != 0) for name, running in self.running.items() if running.documents
        }
        scores: dict[str, Any] = {}
        for name, of_head in heads.items():
            known = self.kind.kinds[name].metric.names
            scores |= {f"{name}_{score}": of_head[score] for score in known if isinstance(of_head.get(score), float)}
        weights = {name: weight for name, weight in self.kind.combined_scores.items() if name in scores}
        total = sum(map(abs, weights.values()))
        mean = {COMBINED: sum(scores[name] * weight for name, weight in weights.items()) / total} if total else {}
        per_label = {
            qualified(name, label): one
            for name, of_head in heads.items()
            for label, one in of_head.get("per_label", {}).items()
        }
        interval = {
            f"{name}_{score}": ends
            for name, of_head in heads.items()
            for score, ends in of_head.get("interval", {}).items()
        }
        found = {**mean, **scores, "per_label": per_label, "heads": heads}
        return {**found, "interval": interval} if interval else found


class _PairedTests:
    """The paired tests of all heads, with the interface of `evaluate.Comparison`."""

    def __init__(self, kind: Heads) -> None:
        self.tests = {name: one.metric.paired() for name, one in kind.kinds.items()}
        self.documents = dict.fromkeys(self.tests, 0)

    def add_batch(self, *, predictions1: Sequence[Any], predictions2: Sequence[Any], references: Sequence[Any]) -> None:
        """Add the views of documents, by head; the first view of a head is that of its main metric."""
        for name, test in self.tests.items():
            of_documents = zip(predictions1, predictions2, references, strict=True)
            rows = [tuple(view[name][0] for view in views) for views in of_documents if name in views[2]]
            if rows:
                self.documents[name] += len(rows)
                first, second, wanted = map(list, zip(*rows, strict=True))
                test.add_batch(predictions1=first, predictions2=second, references=wanted)

    def compute(self) -> dict[str, Any]:
        """Return the result of each head that has gold under `heads`."""
        return {"heads": {name: dict(test.compute()) for name, test in self.tests.items() if self.documents[name]}}


def _first_greater(metric: DocumentMetric) -> str:
    """Return the first score of a kind that is better if it is greater, because errors cannot be averaged with it."""
    return next((score.name for score in metric.scores if score.greater_is_better), metric.best)


def _named(head: str, one: Any) -> Any:
    """Return a span, category or value with the name of its head in front of its label."""
    if one is None:
        return None
    label = qualified(head, one.label)
    return Value(label, one.value, one.score) if isinstance(one, Value) else one.model_copy(update={"label": label})
