"""Sequence classifiers: one label, several labels or a number, for a text or a text pair."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from transformers import PreTrainedModel

from nlp_inference import Annotation, Category, Document, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import MultiLabelClassification, TextClassification, TextRegression
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction
from nlp_training.adopt.heads.base import HeadPlan, StockHead, StockPrediction, StockRoute, stock_pipeline, task_with
from nlp_training.adopt.label_names import output_names, shown_names
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel

_MEASURED_TEXTS = 40
_LEAST_LABELS = 3
_LEAST_SHARE = 0.5
"""The share of texts without any positive logit above which a softmax is doubtful."""

_OF_PAIRS = frozenset(
    {"entailment", "neutral", "contradiction", "not_entailment", "non_entailment", "entail", "contradict"}
    | {"equivalent", "not_equivalent", "duplicate", "not_duplicate", "paraphrase", "not_paraphrase", "is_duplicate"}
)
"""Labels that only a pair of texts can have."""

Scores = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class SequenceKind:
    """What a sequence classifier can become.

    Attributes:
        task: the class of the task.
        labels: the field of its labels.
        settings: other fields.
        activation: what the pipeline would have to apply.
        read: the prediction of the pipeline, from the scores of all labels, the best first.
    """

    task: type[Task]
    labels: str
    settings: Mapping[str, Any]
    read: Callable[[Scores], Annotation]


def _best(scores: Scores) -> Annotation:
    label, score = scores[0]
    return Annotation(categories=(Category(label=label, score=score),))


def _likely(scores: Scores) -> Annotation:
    return Annotation(
        categories=tuple(Category(label=label, score=score) for label, score in scores if score >= 0.5),
        label_scores=dict(scores),
    )


def _numbers(scores: Scores) -> Annotation:
    return Annotation(values=dict(scores))


KINDS: Mapping[str, SequenceKind] = {
    TextClassification.name: SequenceKind(TextClassification, "labels", {}, _best),
    MultiLabelClassification.name: SequenceKind(MultiLabelClassification, "labels", {}, _likely),
    TextRegression.name: SequenceKind(TextRegression, "names", {"scaling": "none"}, _numbers),
}

_BY_PROBLEM = {
    "single_label_classification": TextClassification.name,
    "multi_label_classification": MultiLabelClassification.name,
    "regression": TextRegression.name,
}


class SequenceHead(StockHead):
    """`AutoModelForSequenceClassification`."""

    auto_model = "AutoModelForSequenceClassification"
    tasks = tuple(KINDS)

    def plan(self, stock: StockModel, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> HeadPlan:
        """Deduce the kind of prediction, the labels, and whether the model reads pairs."""
        rows = stock.head_rows()
        chosen = _stated(stock, options, rows)
        is_number = chosen is not None and KINDS[chosen.value].labels == "names"
        unnamed = stock.id2label in ({}, {0: "LABEL_0"}) and options.labels is None
        found = output_names(stock.id2label, rows=rows, given=options.labels, needed=not (is_number and rows == 1))
        names = ("score",) if is_number and rows == 1 and unnamed else found.names
        model = stock.load(names)
        pairs = _pairs(stock, options, names)
        if chosen is None:
            documents = [one for one in texts() if (one.raw_text_pair is not None) == (pairs.value == "pairs")]
            chosen = _assumed(names, lambda: _share_without_label(model, stock, documents))
        kind = KINDS[chosen.value]
        deductions = [chosen, found.deduction, pairs]
        task = task_with(kind.task, {kind.labels: names, **kind.settings}, options, deductions)
        return HeadPlan(task, model, deductions, pairs=pairs.value == "pairs")

    def route(self, model: PreTrainedModel, stock: StockModel, task: Task) -> StockRoute:
        """Return `transformers.pipeline` with the scores of all labels."""
        return SequenceRoute(model, stock, KINDS[task.name].read)


class SequenceRoute(StockRoute):
    """The pipeline of transformers."""

    call = 'pipeline("text-classification", model=MODEL, top_k=None)'

    def __init__(self, model: PreTrainedModel, stock: StockModel, read: Callable[[Scores], Annotation]) -> None:
        self._pipeline = stock_pipeline("text-classification", model, stock, top_k=None)
        self._read = read

    def predict(self, document: Document) -> StockPrediction:
        """Predict one text or pair."""
        scores = stock_scores(self._pipeline, document)
        if isinstance(scores, str):
            return StockPrediction(None, scores)
        return StockPrediction(self._read(scores), read=len(document.raw_text))


def stock_scores(pipe: Any, document: Document) -> Scores | str:
    """Return the scores of a pipeline for all labels, the best first, or why it fails."""
    texts = {"text": document.raw_text}
    if document.raw_text_pair is not None:
        texts["text_pair"] = document.raw_text_pair
    try:
        found = pipe(texts)
    except Exception as error:  # noqa: BLE001 - whatever the pipeline raises is its result
        return f"{type(error).__name__}: {error}"
    return [(str(one["label"]), float(one["score"])) for one in found]


def _stated(stock: StockModel, options: AdoptOptions, rows: int) -> Deduction | None:
    """Return the task that the user or the configuration states; `None` if neither does.

    Raises:
        AmbiguousModelError: one output may be a number or a probability.
    """
    option = f"--task {'|'.join(KINDS)}"
    if options.task is not None:
        if options.task not in KINDS:
            raise InvalidSpecError(f"--task is {options.task!r}, but this head can become {', '.join(KINDS)}")
        return Deduction("task", options.task, "as stated", option, "given")
    problem = stock.config_json.get("problem_type")
    if problem in _BY_PROBLEM:
        return Deduction("task", _BY_PROBLEM[problem], f"problem_type of config.json is {problem!r}", option, "stated")
    if rows > 1:
        return None
    activation = _activation(stock)
    for name, task in (("Identity", TextRegression.name), ("Sigmoid", MultiLabelClassification.name)):
        if activation.endswith(name):
            evidence = f"one output, to which sentence-transformers applies {activation.rpartition('.')[2]}"
            return Deduction("task", task, evidence, option)
    raise AmbiguousModelError(
        "task",
        "the head has one output and config.json has no problem_type: it may be a number, such as a rating, or the "
        "logit of a probability",
        option=f"--task {TextRegression.name} or --task {MultiLabelClassification.name}",
    )


def _activation(stock: StockModel) -> str:
    """Return the activation function that a cross-encoder of sentence-transformers states."""
    nested = stock.config_json.get("sentence_transformers") or {}
    return str(nested.get("activation_fn") or stock.config_json.get("sbert_ce_default_activation_function") or "")


def _pairs(stock: StockModel, options: AdoptOptions, names: Sequence[str]) -> Deduction:
    option = "--pairs|--no-pairs"
    if options.pairs is not None:
        return Deduction("input", "pairs" if options.pairs else "single texts", "as stated", option, "given")
    of_pairs = [name for name in names if name.lower().replace(" ", "_").replace("-", "_") in _OF_PAIRS]
    if of_pairs:
        return Deduction("input", "pairs", f"the labels {shown_names(of_pairs)} belong to text pairs", option)
    if _activation(stock):
        return Deduction("input", "pairs", "config.json is that of a cross-encoder", option)
    return Deduction("input", "single texts", "nothing in config.json speaks of pairs", option, "assumed")


def _assumed(names: Sequence[str], share_without: Callable[[], float]) -> Deduction:
    """Decide between one label and any number of labels for a head that does not state it.

    Raises:
        AmbiguousModelError: the outputs of the model do not look like those of a softmax.
    """
    option = f"--task {TextClassification.name}|{MultiLabelClassification.name}"
    if {"entailment", "contradiction"} & {name.lower() for name in names} or len(names) < _LEAST_LABELS:
        evidence = f"{len(names)} labels ({shown_names(names)}), of which one applies"
        return Deduction("task", TextClassification.name, evidence, option)
    share = share_without()
    if share >= _LEAST_SHARE:
        raise AmbiguousModelError(
            "task",
            f"config.json has no problem_type, and on {share:.0%} of the texts no label has a positive logit, as in "
            "models that predict any number of labels",
            option=option,
        )
    evidence = f"no problem_type; a softmax is the default, and {1 - share:.0%} of the texts have a positive logit"
    return Deduction("task", TextClassification.name, evidence, option, "assumed")


def _share_without_label(model: PreTrainedModel, stock: StockModel, documents: Sequence[Document]) -> float:
    """Return the share of texts on which the logits of all labels are negative."""
    pipe = stock_pipeline("text-classification", model, stock, top_k=None, function_to_apply="none")
    found = [stock_scores(pipe, document) for document in islice(documents, _MEASURED_TEXTS)]
    logits = [scores for scores in found if not isinstance(scores, str)]
    return sum(scores[0][1] < 0 for scores in logits) / len(logits) if logits else 0.0
