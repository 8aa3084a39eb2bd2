"""Token classifiers: spans, with a tagging scheme that the names of the tags imply."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from transformers import PreTrainedModel

from nlp_inference import Annotation, Document, Span, Task
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import TokenClassification
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction
from nlp_training.adopt.heads.base import HeadPlan, StockHead, StockPrediction, StockRoute, stock_pipeline, task_with
from nlp_training.adopt.label_names import output_names, shown_names
from nlp_training.adopt.options import AdoptOptions, Names
from nlp_training.adopt.stock import StockModel
from nlp_training.adopt.tag_names import ONLY_LABEL, OUTSIDE_OPTION, SCHEME_OPTION, Part, TagReading, read_tags

_MEASURED_TEXTS = 60
_LEAST_SPANS = 5
_LEAST_OF_BIO, _MOST_OF_IOB1 = 0.5, 0.1
"""The share of predicted spans that begin with B: nearly all under BIO, none after an outside tag under IOB1."""

Token = tuple[int, int, str]
"""Start, end and tag of a token."""


class TokenHead(StockHead):
    """`AutoModelForTokenClassification`."""

    auto_model = "AutoModelForTokenClassification"
    tasks = ("token-classification",)

    def plan(self, stock: StockModel, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> HeadPlan:
        """Deduce scheme, labels and the order of tags."""
        tags, of_spans = _split_names(stock.id2label, options.labels)
        found = output_names(stock.id2label, rows=stock.head_rows(), given=tags)
        reading = read_tags(found.names, scheme=options.scheme, outside=options.outside)
        names = [_renamed(name, part, of_spans) for name, part in zip(found.names, reading.parts, strict=True)]
        if of_spans:
            _check_renamed(of_spans, reading)
            reading = read_tags(names, scheme=options.scheme, outside=options.outside)
        model = stock.load(names)
        scheme = _scheme_deduction(reading, given=options.scheme is not None)
        if reading.is_open:
            reading, scheme = _measured(reading, TokenRoute(model, stock), texts())
        labels = replace(found.deduction, value=shown_names(reading.labels))
        deductions = [labels, scheme, *_notes(reading, options)]
        settings = {"labels": reading.labels, "scheme": reading.scheme}
        task = task_with(TokenClassification, settings, options, deductions)
        if "aggregation" not in options.settings:
            evidence = "the usual training on words gives only the first token of a word a tag"
            deductions.append(Deduction("aggregation", "first", evidence, "--set aggregation=… or --data", "assumed"))
        drop = ({"drop_labels": list(reading.dropped)},) if reading.dropped else ()
        return HeadPlan(task, model, deductions, reading.rows, drop)

    def route(self, model: PreTrainedModel, stock: StockModel, task: Task) -> StockRoute:  # noqa: ARG002
        """Return `transformers.pipeline` with `aggregation_strategy="simple"`."""
        return TokenRoute(model, stock)


class TokenRoute(StockRoute):
    """The pipeline of transformers, with the tags of its tokens."""

    call = 'pipeline("token-classification", model=MODEL, aggregation_strategy="simple")'

    def __init__(self, model: PreTrainedModel, stock: StockModel) -> None:
        self._pipeline = stock_pipeline("token-classification", model, stock, ignore_labels=[])

    @property
    def names(self) -> list[str]:
        """The names of the tags, in the order of their ids."""
        id2label: dict[int, str] = self._pipeline.model.config.id2label
        return [id2label[row] for row in sorted(id2label)]

    def predict(self, document: Document) -> StockPrediction:
        """Predict one text; the groups are those of the pipeline, from the same forward pass as the tags."""
        text = document.raw_text
        if not text.strip():
            return StockPrediction(Annotation(), read=len(text))
        try:
            tokens = [one for one in self._pipeline(text) if one["start"] is not None]
        except Exception as error:  # noqa: BLE001 - whatever the pipeline raises is its result
            return StockPrediction(None, f"{type(error).__name__}: {error}")
        groups = [one for one in self._pipeline.group_entities(list(tokens)) if one["entity_group"] != "O"]
        groups = [one for one in groups if one["start"] < one["end"]] if tokens else []
        spans = [
            Span(start=one["start"], end=one["end"], label=one["entity_group"], score=float(one["score"]))
            for one in groups
        ]
        tags = tuple((one["start"], one["end"], one["entity"]) for one in tokens)
        last = max((end for _, end, _ in tags), default=0)
        read = len(text) if not text[last:].strip() else last
        words = tuple(str(one["word"]) for one in groups)
        return StockPrediction(Annotation(spans=tuple(spans)), words=words, read=read, tags=tags)


def _split_names(id2label: Mapping[int, str], given: Names | None) -> tuple[Names | None, dict[str, str]]:
    """Split names of the user into those of tags and those of the labels of spans, such as `PER=PERSON`."""
    if not isinstance(given, Mapping):
        return given, {}
    tags = {old: new for old, new in given.items() if old in id2label.values() or old.isdigit()}
    return tags or None, {old: new for old, new in given.items() if old not in tags}


def _renamed(name: str, part: Part, labels: Mapping[str, str]) -> str:
    """Return a tag with another label."""
    if part.label == ONLY_LABEL and part.label in labels and part.label not in name:
        return f"{part.letter}-{labels[part.label]}"
    return name.replace(part.label, labels[part.label]) if part.label in labels else name


def _check_renamed(labels: Mapping[str, str], reading: TagReading) -> None:
    unknown = sorted(set(labels) - set(reading.labels))
    if unknown:
        raise InvalidSpecError(
            f"--labels renames {unknown[0]!r}, which is neither a tag nor a label of the model: "
            f"{shown_names(reading.labels)}"
        )


def _scheme_deduction(reading: TagReading, *, given: bool) -> Deduction:
    basis = "given" if given else "deduced"
    return Deduction("tagging scheme", reading.scheme, reading.evidence, f"{SCHEME_OPTION} …", basis)  # type: ignore[arg-type]


def _notes(reading: TagReading, options: AdoptOptions) -> Iterator[Deduction]:
    if reading.outside != "O":
        basis = "given" if options.outside is not None else "deduced"
        yield Deduction("tag outside of spans", reading.outside, "its name", OUTSIDE_OPTION, basis)  # type: ignore[arg-type]
    if reading.dropped:
        evidence = "tags that are no spans; they are decoded as tags of the scheme, and then removed"
        yield Deduction("removed labels", ", ".join(reading.dropped), evidence, "--labels")
    absent = sum(row is None for row in reading.rows)
    if absent:
        yield Deduction("absent tags", str(absent), "tags of the scheme that the head lacks are never predicted")


def _measured(reading: TagReading, route: TokenRoute, texts: Sequence[Document]) -> tuple[TagReading, Deduction]:
    """Choose between BIO and IOB1, which have the same tags, by how predicted spans begin.

    Raises:
        AmbiguousModelError: the model begins spans in both ways.
    """
    letters = dict(zip(route.names, reading.parts, strict=True))
    first = [
        letters[tag].letter
        for document in islice(texts, _MEASURED_TEXTS)
        for tag in first_tags(document.raw_text, route.predict(document).tags, outside=reading.outside, parts=letters)
    ]
    begin, count = first.count("B"), len(first)
    option = f"{SCHEME_OPTION} BIO|IOB1"
    if count < _LEAST_SPANS:
        evidence = f"{reading.evidence}; {count} predicted spans are too few to tell it from IOB1"
        return reading.with_scheme("BIO"), Deduction("tagging scheme", "BIO", evidence, option, "assumed")
    evidence = f"{reading.evidence}; {begin} of {count} predicted spans begin with B"
    if begin >= _LEAST_OF_BIO * count:
        return reading.with_scheme("BIO"), Deduction("tagging scheme", "BIO", evidence, option, "measured")
    if begin <= _MOST_OF_IOB1 * count:
        return reading.with_scheme("IOB1"), Deduction("tagging scheme", "IOB1", evidence, option, "measured")
    raise AmbiguousModelError("tagging scheme", f"{evidence}, which is neither BIO (IOB2) nor IOB1", option=option)


def first_tags(text: str, tokens: Sequence[Token], *, outside: str, parts: Any) -> Iterator[str]:
    """Yield the first tag of each predicted span whose predecessor is outside, from the first tokens of words.

    Example:
        >>> from nlp_training.adopt.tag_names import Part
        >>> parts = {"O": Part("", ""), "I-X": Part("I", "X")}
        >>> list(first_tags("in New York", [(0, 2, "O"), (3, 6, "I-X"), (7, 11, "I-X")], outside="O", parts=parts))
        ['I-X']
    """
    before = outside
    for start, _, tag in tokens:
        if start and text[start].isalnum() and text[start - 1].isalnum():
            continue  # an inner token of a word
        if parts[tag].letter and not parts[before].letter:
            yield tag
        before = tag
