"""What a kind of gold is, and how one is found by its name."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from nlp_inference import Task
from nlp_inference.document import Annotation, Category, Span
from nlp_inference.errors import InvalidSpecError, NlpInferenceError
from nlp_inference.registry import Registered, Spec, split_spec
from nlp_training.metrics import DocumentMetric, Metric
from nlp_training.metrics.documents import OTHER_KEYS, Part, Score

WRONG_LABEL = "wrong label"
MISSED = "missed"
SPURIOUS = "spurious"
"""Names of kinds of mistakes that several kinds of gold count."""

UNKNOWN_LABEL = "its label is not among those of the task"
"""The cause of gold that a task cannot learn, for several kinds of gold."""


class Compared(NamedTuple):
    """What evaluation compares of one annotation: its label, its offsets if it is a span, what a relation links, and a
    generated text."""

    label: str
    start: int | None = None
    end: int | None = None
    links: tuple["Compared", ...] = ()
    text: str | None = None

    def surface(self, text: str) -> str:
        """Return the raw text of a span, of the spans that a relation links, or a generated text; otherwise nothing."""
        if self.text is not None:
            return self.text
        if self.links:
            return " → ".join(one.surface(text) for one in self.links)
        return "" if self.start is None else text[self.start : self.end]


class Value(NamedTuple):
    """A number of the complete document; `score` says how far a predicted one is from gold."""

    label: str
    value: float
    score: float | None = None


class Link(NamedTuple):
    """A relation with the spans that it links."""

    label: str
    head: Span
    tail: Span
    score: float | None = None


class WrittenText(NamedTuple):
    """A generated text; `score` says how far a predicted one is from gold."""

    label: str
    text: str
    score: float | None = None


class Mistake(NamedTuple):
    """A gold annotation and the prediction paired with it; `name` is `None` where the prediction is right.

    The report shows the predictions with the highest scores first.
    """

    name: str | None
    gold: Span | Category | Value | Link | WrittenText | None
    predicted: Span | Category | Value | Link | WrittenText | None


class Learnable(NamedTuple):
    """The part of an annotation that a task can learn, `None` if there is none, and what is lost with its cause."""

    annotation: Annotation | None
    lost: list[tuple[Compared, str]]


class GoldKind(Registered, ABC):
    """A kind of gold annotation that tasks learn from and evaluation compares.

    Subclasses register under their `name`, which tasks state in `Task.needs`. An installed package offers kinds as
    entry points of the group `nlp_training.gold_kinds`.

    Example:
        >>> from nlp_training.gold import gold_kind
        >>> gold = Annotation(categories=(Category(label="spam"),))
        >>> gold_kind("category").labels(gold), gold_kind("spans").labels(gold)
        (['spam'], [])
    """

    kind = "gold-kind"

    noun: ClassVar[str]
    """What its annotations are called in tables and messages, in the plural."""
    metric: ClassVar[DocumentMetric]
    """How predictions are compared with it, and in which direction each score is better."""
    mistakes: ClassVar[Mapping[str, str]]
    """The kinds of mistakes, each with its meaning, in the order of the report."""
    has_spans: ClassVar[bool] = False
    """Whether its annotations are ranges of the text, so that equal surfaces can be compared."""
    shows_spans: ClassVar[bool] = False
    """Whether its mistakes are pairs of spans, which the report shows on the raw text."""
    confuses_labels: ClassVar[bool] = True
    """Whether one label can be predicted in place of another, so that a confusion table says something."""
    pairs_shown: ClassVar[int]
    """How many pairs of labels the report shows examples of, for each kind of mistake."""
    examples_shown: ClassVar[int] = 3
    """How many examples the report shows of each: those with the highest scores, or else the first."""

    @property
    def parts(self) -> Mapping[str, "GoldKind"]:
        """The kinds of gold of its heads; a kind without heads is the only one, under `""`."""
        return {"": self}

    learned_settings: ClassVar[tuple[str, ...]] = ("labels",)
    """Fields of a task that are taken from the training documents where the config leaves them open."""

    def open_settings(self, task: type[Task], settings: Mapping[str, Any]) -> list[str]:
        """Return the `learned_settings` that the task has and that the config leaves open.

        Args:
            task: the class of the task.
            settings: the fields that the config sets.
        """
        return [field for field in self.learned_settings if field in task.model_fields and field not in settings]

    def learn_settings(self, golds: Sequence[Annotation], settings: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the `learned_settings` of a task.

        Args:
            golds: the gold of the training documents.
            settings: the fields that the config sets.
        """
        return {"labels": sorted({label for gold in golds for label in self.labels(gold)})}

    @abstractmethod
    def labels(self, gold: Annotation) -> list[str]:
        """Return the label of each annotation of this kind, as often as it occurs.

        They are the labels that a task takes from its training documents, and the strata of splits and of balanced
        sampling.
        """

    def numbers(self, annotation: Annotation) -> Mapping[str, float]:  # noqa: ARG002 - most kinds have none
        """Return the numbers of an annotation by name: checks and reports show how they are distributed."""
        return {}

    @abstractmethod
    def compared(self, annotation: Annotation) -> list[Compared]:
        """Return what evaluation compares of an annotation."""

    @staticmethod
    def has_only_text(gold: Annotation) -> bool:
        """Return whether gold is a text to generate, so that missing labels do not mean that there are none."""
        return bool(gold.generated) and gold.model_fields_set == {"generated"}

    @abstractmethod
    def problem(self, gold: Annotation) -> str | None:
        """Say why a task cannot learn from this gold, as the end of the sentence "document ... "; `None` if it can."""

    @abstractmethod
    def learnable(self, gold: Annotation, *, labels: Collection[str] | None, flat: bool) -> Learnable:
        """Divide gold into what a task can learn and what is lost.

        Args:
            gold: the gold of one document.
            labels: the labels of the task; `None` if it has no fixed labels.
            flat: whether the spans of the task must not overlap.
        """

    @abstractmethod
    def find_mistakes(self, predicted: Annotation, gold: Annotation) -> Iterator[Mistake]:
        """Pair predictions with gold; each prediction and each gold annotation is in exactly one pair."""


def gold_kind(name: Spec | GoldKind) -> GoldKind:
    """Find a kind of gold by its name or specification (`Task.needs`), also in installed packages.

    Raises:
        UnknownTypeError: no such kind is registered.
        InvalidSpecError: an installed package declares it but does not register it.

    Example:
        >>> gold_kind("spans").metric.best
        'f1'
    """
    return GoldKind.from_spec(name)


def gold_kind_of(task: Task) -> GoldKind:
    """Return the kind of gold that a task learns from.

    Example:
        >>> from nlp_inference import TextClassification
        >>> gold_kind_of(TextClassification(labels=("a",))).name
        'category'
    """
    return gold_kind(task.needs)


def needs_of(spec: Spec) -> Spec | None:
    """Return the kind of gold of a task from its complete specification; `None` if one of both is not installed.

    Example:
        >>> needs_of({"text-classification": ["spam", "ham"]}), needs_of("no-such-task")
        ('category', None)
    """
    name, _ = split_spec(spec, kind=Task.kind)
    task = Task.find(name)
    if task is None or not issubclass(task, Task):
        return None
    try:
        needs = task.needs if isinstance(task.needs, str) else Task.from_spec(spec).needs
        gold_kind(needs)
    except NlpInferenceError:
        return None
    return needs


def gold_kinds() -> list[GoldKind]:
    """Return every kind that is registered in this process, sorted by name."""
    return [gold_kind(name) for name in sorted(GoldKind.members)]


def greater_is_better(score: str, custom: Sequence[Metric] = ()) -> bool:
    """Return the direction of a score by its name, where the task is not known.

    A score that neither a custom metric nor a registered kind has is better if it is greater, unless it is a loss.

    Example:
        >>> greater_is_better("f1"), greater_is_better("eval_loss")
        (True, False)
        >>> greater_is_better("eval_stars_mae")
        False
    """
    name = score.removeprefix("eval_")
    for one in custom:
        if one.name == name:
            return one.greater_is_better
    metrics = (kind.metric for kind in gold_kinds())
    known = {score.name: score.greater_is_better for one in metrics for score in one.scores}
    ends = (name, *(name[at + 1 :] for at, character in enumerate(name) if character == "_"))  # of a head: stars_mae
    return next((known[end] for end in ends if end in known), not name.endswith("loss"))


def selection_score(task: Task) -> str:
    """Return the name of the score by which training chooses the best weights of a task by default.

    Example:
        >>> from nlp_inference import MultiLabelClassification, TextClassification
        >>> selection_score(TextClassification(labels=("a",))), selection_score(MultiLabelClassification(labels=("a",)))
        ('accuracy', 'micro_average_precision')
    """
    return task.selection_score or gold_kind_of(task).metric.best


def document_metric(name: Spec | GoldKind, custom: Sequence[Metric] = ()) -> DocumentMetric:
    """Return the metric of a kind of gold, with further custom metrics.

    Raises:
        UnknownTypeError: no such kind is registered.
        InvalidSpecError: a custom metric has the name of another score.

    Example:
        >>> document_metric("category").best
        'accuracy'
    """
    metric = gold_kind(name).metric
    if not custom:
        return metric
    names = [one.name for one in custom]
    taken = {*metric.names, *metric.further, *OTHER_KEYS}
    for one in names:
        if one in taken or names.count(one) > 1:
            raise InvalidSpecError(f"metrics has {one!r}, which is the name of another score; rename it")
    further = {one.name: Part(one.collect, one.view) for one in custom}
    scores = tuple(Score(one.name, greater_is_better=one.greater_is_better) for one in custom)
    return replace(metric, further={**metric.further, **further}, scores=(*metric.scores, *scores))
