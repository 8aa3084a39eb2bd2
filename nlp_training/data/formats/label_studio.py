"""Label Studio's JSON: a list of tasks (https://labelstud.io/guide/task_format), as Label Studio 1.23.2 exports it.

The reader supports regions with `labels`; `choices`, numbers and text areas of the entire text; and relations. Anything
else is an error. `completions`, the key of versions before 1.0, is read as annotations; a warning counts drafts and
notes on regions. The gold is the annotation that is the ground truth, or else the one that was not cancelled; several
different annotations are an error. The prediction becomes `Document.predicted`. A bidirectional relation becomes two.

Label Studio counts characters. It once counted UTF-16 code units: if the quoted text of a region is not at its offsets,
they are read as code units (https://github.com/HumanSignal/label-studio/issues/1347). The quotation is the text as a
browser shows it, in which a line break is a backslash and an `n`, and white space may be collapsed.

The editor keeps one result of choices, one of text areas, and one relation between two regions, so the writer merges
these.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from nlp_inference.document import Annotation, Category, Document, Relation, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, located, new_file, read_units, read_whole_json
from nlp_training.data.formats.offsets import Utf16
from nlp_training.data.formats.parts import check_readable, own_id, own_metadata, refuse
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM

_TEXT = {"text", "id", "text_pair"}
_OF_THE_TEXT = ("choices", "number", "textarea")
_DIRECTIONS = {"right": (1,), "left": (-1,), "bi": (1, -1)}
"""The directions of a relation: 1 from its first to its second region, -1 the reverse."""


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    tasks = read_whole_json(path)
    if not isinstance(tasks, list):
        raise InvalidDataError(f"{path} contains {type(tasks).__name__}; Label Studio exports a list of tasks as JSON")
    located_tasks = ((f"{path} task {number}", task) for number, task in enumerate(tasks, start=1))
    return read_units((Unit(place, partial(_make, task, place)) for place, task in located_tasks), options)


def _make(task: Any, place: str) -> Document:
    with located(place):
        try:
            data = task["data"]
            text = data["text"]
            found = {
                "gold": _chosen(_annotations(task), text, "annotations that differ; mark one as the ground truth"),
                "predicted": _chosen(_with_results(task), text, "predictions that differ; export those of one model"),
            }
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise InvalidDocumentError(
                f"the task cannot be read ({type(error).__name__}: {error}); write data.text, and annotations with a "
                "result of labels, choices, relations, numbers or text areas. Label Studio exports them as JSON, not "
                "as JSON_MIN"
            ) from error
        count_unread("drafts", sum(bool(draft.get("result")) for draft in task.get("drafts") or ()))
        name = data.get("id", task.get("id"))
        fields = {
            "id": None if name is None else str(name),
            "raw_text": text,
            "raw_text_pair": data.get("text_pair"),
            **found,
            "metadata": {**{key: value for key, value in data.items() if key not in _TEXT}, READ_FROM: place},
        }
        return as_document(fields, default_id=place)


def _annotations(task: dict[str, Any]) -> list[Any]:
    """Return the annotations, which were `completions` before version 1.0."""
    current, old = task.get("annotations") or [], task.get("completions") or []
    if current and old:
        raise ValueError("both annotations and completions; export the task again")
    return current or old


def _with_results(task: dict[str, Any]) -> list[Any]:
    """Return the predictions, except those that were exported only as ids."""
    return [prediction for prediction in task.get("predictions") or [] if not isinstance(prediction, int)]


def _chosen(given: list[Any], text: str, problem: str) -> Annotation | None:
    results = [one for one in given if not one.get("was_cancelled")]
    truth = [one for one in results if one.get("ground_truth")]
    annotations = [_annotation(one["result"], text) for one in truth or results]
    if any(other != annotations[0] for other in annotations):
        raise ValueError(f"{len(annotations)} {problem}")
    return annotations[0] if annotations else None


def _annotation(result: list[dict[str, Any]], text: str) -> Annotation:
    found: dict[str, Any] = {"spans": [], "categories": [], "relations": [], "values": {}, "generated": []}
    indices: dict[str, int] = {}
    marked = {region["id"] for region in result if region["type"] == "labels" and "id" in region}
    for region in result:
        kind, value, score = region["type"], region.get("value", {}), region.get("score")
        if kind in _OF_THE_TEXT and ("start" in value or region.get("id") in marked):
            raise ValueError(f"{kind} of the region {region.get('id')!r} instead of the text")
        count_unread("notes on regions (meta)", bool(region.get("meta")))
        if kind == "labels":
            if not value.get("labels"):
                raise ValueError(f"the region {region.get('id')!r} without a label")
            if "id" in region:  # only relations need it
                indices[region["id"]] = len(found["spans"])
            start, end = _offsets(value, text)
            found["spans"] += [Span(start=start, end=end, label=label, score=score) for label in value["labels"]]
        elif kind == "choices":
            found["categories"] += [Category(label=label, score=score) for label in value["choices"]]
        elif kind == "number":
            found["values"][region["from_name"]] = value["number"]
        elif kind == "textarea":
            found["generated"] += value["text"]
        elif kind != "relation":
            raise ValueError(f"a region of type {kind!r}")
    found["relations"] = [link for one in result if one["type"] == "relation" for link in _links(one, indices)]
    return Annotation(
        **{field: kept if isinstance(kept, dict) else tuple(kept) for field, kept in found.items() if kept}
    )


def _links(link: dict[str, Any], indices: dict[str, int]) -> Iterator[Relation]:
    """Yield one relation per label and direction."""
    for end in ("from_id", "to_id"):
        if link[end] not in indices:
            raise ValueError(f"a relation has the {end} {link[end]!r}, which is not the id of a region with a label")
    ends, direction = (indices[link["from_id"]], indices[link["to_id"]]), link.get("direction", "right")
    if direction not in _DIRECTIONS:
        raise ValueError(f"a relation has the direction {direction!r}; expected one of {', '.join(_DIRECTIONS)}")
    for head, tail in (ends[::step] for step in _DIRECTIONS[direction]):
        for label in link.get("labels") or [""]:
            yield Relation(head=head, tail=tail, label=label, score=link.get("score"))


def _offsets(value: dict[str, Any], text: str) -> tuple[int, int]:
    """Return the offsets of a region, in the unit in which they match its quoted text, exactly if possible."""
    start, end, quoted = value["start"], value["end"], value.get("text")
    candidates = [(start, end)]
    if quoted is None or text[start:end] == quoted:
        return start, end
    units = Utf16(text)
    with suppress(InvalidDocumentError):
        candidates.append((units.to_characters(start), units.to_characters(end)))
    for normalized in (str, _words):
        for first, last in candidates:
            if normalized(text[first:last]) == normalized(quoted):
                return first, last
    raise ValueError(f"the text at {start}:{end} is {text[start:end]!r}, not {quoted!r}")


def _words(text: str) -> list[str]:
    return text.replace("\\n", "\n").split()


def _write(documents: Iterable[Document], path: Path) -> None:
    """Write one task per Document in Label Studio's import format; `from_name` is `label` and `choice`."""
    with new_file(path) as file:
        file.write("[")
        for number, document in enumerate(documents):
            task = _task(document)
            check_readable(document, partial(_make, task, "what was written"), "label-studio")
            file.write((",\n" if number else "\n") + json.dumps(task, ensure_ascii=False))
        file.write("\n]\n")


def _task(document: Document) -> dict[str, Any]:
    metadata = own_metadata(document)
    if taken := sorted(_TEXT & {*metadata}):
        raise refuse(document, "label-studio", f"metadata with the key {taken[0]!r}; rename it")
    texts = {"id": own_id(document), "text": document.raw_text, "text_pair": document.raw_text_pair}
    task: dict[str, Any] = {"data": {**{key: text for key, text in texts.items() if text is not None}, **metadata}}
    if document.gold is not None:
        task["annotations"] = [{"result": list(_regions(document, document.gold))}]
    if document.predicted is not None:
        task["predictions"] = [{"result": list(_regions(document, document.predicted))}]
    return task


def _regions(document: Document, annotation: Annotation) -> Iterator[dict[str, Any]]:
    for at, span in enumerate(annotation.spans):
        value = {"start": span.start, "end": span.end, "text": document.surface(span), "labels": [span.label]}
        yield {
            "id": f"s{at}",
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": value,
            **_score(span),
        }
    for at, (_, chosen) in enumerate(groupby(annotation.categories, lambda category: category.score)):
        first, *rest = chosen
        base = {"id": f"c{at}", "from_name": "choice", "to_name": "text", "type": "choices"}
        yield {**base, "value": {"choices": [first.label, *(other.label for other in rest)]}, **_score(first)}
    together = defaultdict(list)
    for link in annotation.relations:
        together[link.head, link.tail, link.score].append(link)
    for (head, tail, _), links in together.items():
        ends = {"from_id": f"s{head}", "to_id": f"s{tail}", "direction": "right"}
        yield {**ends, "type": "relation", "labels": [link.label for link in links], **_score(links[0])}
    for name, number in annotation.values.items():
        yield {"id": f"v-{name}", "from_name": name, "to_name": "text", "type": "number", "value": {"number": number}}
    if annotation.generated:
        base = {"id": "g", "from_name": "answer", "to_name": "text", "type": "textarea"}
        yield {**base, "value": {"text": [*annotation.generated]}}


def _score(item: Span | Category | Relation) -> dict[str, float]:
    return {} if item.score is None else {"score": item.score}


LABEL_STUDIO = Format("label-studio", (), ".json", _read, _write, keeps_predictions=True)
