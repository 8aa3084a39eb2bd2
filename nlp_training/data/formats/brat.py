"""brat standoff: a folder with the text `NAME.txt` and its annotations `NAME.ann` (https://brat.nlplab.org/standoff.html).

Spans are text-bound annotations, relations are binary relations. A discontinuous span becomes one span per fragment,
each linked to the next by a relation with the label `FRAGMENT`. Other annotations (events, attributes, normalizations,
notes, equivalences) are kept as lines in `metadata["brat"]`, in which `T1` is the first span, and are written again; a
warning counts them, except notes. A text without an `.ann` file is not annotated.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlp_inference.document import Annotation, Document, Relation, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, lines_of, located, numbered_lines, read_units
from nlp_training.data.formats.folders import Files, id_of_file, write_files
from nlp_training.data.formats.parts import refuse
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM

FRAGMENT = "next-fragment"
"""The label of the relation between consecutive fragments of a discontinuous span."""

OTHERS = "brat"
"""The key of `Document.metadata` for the lines that are neither spans nor relations between spans."""

_SPAN = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_RELATION = re.compile(r"R\S+\t(\S+) Arg1:(T\S+) Arg2:(T\S+)\s*")
_ARGUMENT = re.compile(r"(?<=[ :])T\d+(?= |$)")

_KINDS = {"E": "events (E)", "A": "attributes (A)", "M": "attributes (M)", "N": "normalizations (N)"}
_KINDS |= {"R": "relations between others than two spans (R)", "*": "equivalences (*)"}
"""The kinds of lines that become metadata instead of gold."""

Line = tuple[int, str]


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    if not path.is_dir():
        raise InvalidDataError(f"{path} is not a folder; brat requires a folder with NAME.txt and NAME.ann")
    texts = sorted(path.rglob("*.txt"))
    stray = sorted(file for file in path.rglob("*.ann") if not file.with_suffix(".txt").exists())
    if stray or not texts:
        raise InvalidDataError(f"{stray[0] if stray else path}: the .txt file with the text is missing")
    return read_units((Unit(str(text), partial(_read_text, text, path)) for text in texts), options)


def _read_text(file: Path, folder: Path) -> Document:
    annotations = file.with_suffix(".ann")
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(f"{file}: byte {error.start} is not UTF-8; save the text as UTF-8") from error
    lines = numbered_lines(annotations) if annotations.is_file() else None
    return _make(id_of_file(file, folder), text, lines, str(annotations), place=str(file))


def _make(name: str, text: str, lines: Iterable[Line] | None, annotations: str, *, place: str) -> Document:
    metadata: dict[str, Any] = {READ_FROM: place}
    gold = None
    if lines is not None:
        gold, others = _annotation(lines, text, annotations)
        metadata |= {OTHERS: others} if others else {}
    with located(place):
        return as_document({"id": name, "raw_text": text, "gold": gold, "metadata": metadata})


def _annotation(lines: Iterable[Line], text: str, path: str) -> tuple[Annotation, list[str]]:
    spans: list[Span] = []
    links: list[Relation] = []
    first: dict[str, int] = {}
    rest: list[Line] = []
    for number, line in lines:
        if line.startswith("T"):
            with located(f"{path}:{number}"):
                name, fragments = _fragments(line, text)
                if name in first:
                    raise InvalidDocumentError(f"{name} occurs twice")
            first[name] = len(spans)
            links += [
                Relation(head=at, tail=at + 1, label=FRAGMENT)
                for at in range(len(spans), len(spans) + len(fragments) - 1)
            ]
            spans += fragments
        elif line.strip():
            rest.append((number, line))
    others = []
    for number, line in rest:
        with located(f"{path}:{number}"):
            found = _RELATION.fullmatch(line)
            if found is not None and found[1] != FRAGMENT:
                head, tail = (_position(name, first) for name in found.group(2, 3))
                links.append(Relation(head=head, tail=tail, label=found[1]))
            else:
                count_unread(_KINDS.get(line[0], ""), line[0] in _KINDS)
                others.append(_renamed(line, first))
    return Annotation(spans=tuple(spans), relations=tuple(links)), others


def _renamed(line: str, first: dict[str, int]) -> str:
    """Return the line with the new ids of its spans; its text and its references are unchanged."""
    name, tab, rest = line.partition("\t")
    arguments, other_tab, text = rest.partition("\t")
    count = 1 if name.startswith("N") else 0  # the later arguments of a normalization are external ids
    renamed = _ARGUMENT.sub(lambda found: f"T{_position(found[0], first) + 1}", arguments, count=count)
    return f"{name}{tab}{renamed}{other_tab}{text}"


def _position(name: str, first: dict[str, int]) -> int:
    if name not in first:
        raise InvalidDocumentError(f"there is no {name}; the ids are: {', '.join(first) or 'none'}")
    return first[name]


def _fragments(line: str, text: str) -> tuple[str, list[Span]]:
    found = _SPAN.fullmatch(line)
    if found is None:
        raise InvalidDocumentError(
            f"{line!r} cannot be read; write T1, tab, label and offsets as in PER 0 5, tab, text"
        )
    ranges = [tuple(map(int, offsets.split(" "))) for offsets in found[3].split(";")]
    for start, end in ranges:
        if not start < end <= len(text):
            raise InvalidDocumentError(f"{start} {end} is outside the text of {len(text)} characters")
    marked = " ".join(text[start:end] for start, end in ranges)
    if found[4] is not None and found[4].split() != marked.split():
        raise InvalidDocumentError(
            f"the text at {found[3]} is {marked!r}, but the annotation contains {found[4]!r}; offsets count code "
            "points, and a Windows line break is two"
        )
    return found[1], [Span(start=start, end=end, label=found[2]) for start, end in ranges]


def _write(documents: Iterable[Document], path: Path) -> None:
    write_files(documents, path, _render, _read_files, format_name="brat")


def _read_files(files: Files, name: str) -> Document:
    lines = lines_of(files[".ann"]) if ".ann" in files else None
    return _make(name, files[".txt"], lines, "what was written", place="what was written")


def _render(document: Document) -> Files:
    gold = document.gold
    if gold is None:
        return {".txt": document.raw_text}
    after = {relation.head: relation.tail for relation in gold.relations if relation.label == FRAGMENT}
    for head, tail in after.items():
        if tail != head + 1:
            raise refuse(document, "brat", "fragments that are not consecutive spans")
    begins = [at for at in range(len(gold.spans)) if at - 1 not in after]
    lines = []
    for begin, end in pairwise([*begins, len(gold.spans)]):
        fragments = gold.spans[begin:end]
        places = ";".join(f"{span.start} {span.end}" for span in fragments)
        marked = " ".join(" ".join(document.surface(span).split()) for span in fragments)
        lines.append(f"T{begin + 1}\t{fragments[0].label} {places}\t{marked}")
    linked = [relation for relation in gold.relations if relation.label != FRAGMENT]
    for number, relation in enumerate(linked, start=1):
        lines.append(f"R{number}\t{relation.label} Arg1:T{relation.head + 1} Arg2:T{relation.tail + 1}")
    others = document.metadata.get(OTHERS, [])
    lines += [line for line in others if isinstance(line, str)] if isinstance(others, list) else []
    return {".txt": document.raw_text, ".ann": "".join(f"{line}\n" for line in lines)}


BRAT = Format("brat", (), "", _read, _write, folder=True)
