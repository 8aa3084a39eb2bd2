r"""WebAnno TSV 3, which INCEpTION reads and writes: a folder with one file per Document, or one such file.

https://inception-project.github.io/releases/32.0/docs/user-guide.html#sect_webannotsv; offsets count UTF-16 code units.
The reader reads span layers as in `uima_cas`, including those with slots, by their feature `label` or `value`. A
warning counts relations, chains, other layers and other features; tokens and sentences are ignored. The writer writes
one sentence per line that begins with a word, and splits words at white space. Sentences are separated by a line feed,
followed by spaces if the offsets require it. A span cannot begin or end with white space, which is in no token.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

from nlp_inference.document import Annotation, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, lines_of, located, numbered_lines, read_units
from nlp_training.data.formats.folders import Files, id_of_file, write_files
from nlp_training.data.formats.offsets import Utf16
from nlp_training.data.formats.uima_cas import LINGUISTIC, SPAN_LAYER, is_read
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM

_HEADER = re.compile(r"#FORMAT=WebAnno TSV 3\.\d+")
_ROW = re.compile(r"\d+-\d+(\.\d+)?\t(\d+)-(\d+)\t([^\t]*)((?:\t[^\t]*)*)")
_NUMBERED = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)
_CONTROLS = "".join(chr(code) for code in range(32) if not 8 <= code <= 13)
_TEXT_ESCAPES = {"\t": "t", "\n": "n", "\f": "f", "\r": "r", "\b": "b", "\\": "\\", **{one: one for one in _CONTROLS}}
_VALUE_ESCAPES = {"\t": "t", "\n": "n", **{one: one for one in ("\\", "[", "]", "|", "_", "->", ";", "*")}}

Line = tuple[int, str]


class _Layer(NamedTuple):
    """A span layer: its name, its columns, and the column of its label."""

    name: str
    columns: tuple[int, ...]
    label: int | None


class _Row(NamedTuple):
    """A token or a part of one."""

    place: str
    is_part: bool
    start: int
    end: int
    words: str
    cells: list[str]


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    files = sorted(path.rglob("*.tsv")) if path.is_dir() else [path]
    if not files:
        raise InvalidDataError(f"{path} contains no .tsv file; export the documents as WebAnno TSV 3")
    return read_units((Unit(str(file), partial(_read_file, file, path)) for file in files), options)


def _read_file(file: Path, folder: Path) -> Document:
    return _make(numbered_lines(file), id_of_file(file, folder), place=str(file))


def _make(lines: Iterable[Line], name: str, *, place: str) -> Document:
    rest = iter(lines)
    layers, others = _layers(rest, place)
    text, rows = _text_and_rows(rest, place)
    gold = Annotation(spans=tuple(_spans(rows, layers, text)))
    _check_gaps(rows, text, place)
    for column, kind in others.items():
        empty = ("_", "*") if kind.startswith("features") else ("_",)
        count_unread(kind, sum(row.cells[column] not in empty for row in rows if column < len(row.cells)))
    with located(place):
        return as_document({"id": name, "raw_text": text, "gold": gold, "metadata": {READ_FROM: place}})


def _layers(lines: Iterator[Line], place: str) -> tuple[list[_Layer], dict[int, str]]:
    """Read the header up to its empty line; return its span layers and the columns that are not read."""
    _, first = next(lines, (0, ""))
    if not _HEADER.fullmatch(first):
        raise InvalidDocumentError(
            f"{place}:1: {first[:60]!r} is not a header of WebAnno TSV 3; export the document in this format"
        )
    layers, others = [], dict[int, str]()
    width = 0
    for _, line in lines:
        if not line:
            break
        kind, _, named = line.partition("=")
        layer, *features = named.split("|")
        columns = tuple(range(width, width + max(1, len(features))))
        width += len(columns)
        name = layer.rpartition(".")[2]
        if kind == "#T_SP" and is_read(layer):
            label = next((features.index(name) for name in ("label", "value") if name in features), None)
            layers.append(_Layer(layer, columns, None if label is None else columns[label]))
            others |= {
                columns[at]: f"features {feature}" for at, feature in enumerate(features) if at != label and feature
            }
        elif kind == "#T_RL" and is_read(layer):
            others[columns[0]] = f"relations {name}"
        elif kind == "#T_CH":
            others[columns[0]] = f"chains {name}"
        elif kind == "#T_SP" and not layer.startswith(LINGUISTIC):
            others[columns[0]] = f"spans {name}"
    return layers, others


def _text_and_rows(lines: Iterator[Line], place: str) -> tuple[str, list[_Row]]:
    parts: list[str] = []
    rows: list[_Row] = []
    sentence: list[str] = []
    length = 0
    for number, line in lines:
        if line.startswith("#Text="):
            sentence.append(_unescape(line.removeprefix("#Text="), _TEXT_ESCAPES))
        elif line and not line.startswith("#"):
            row = _row(line, f"{place}:{number}")
            if sentence:
                gap = row.start - length
                if gap < 0:
                    raise InvalidDocumentError(
                        f"{row.place}: the sentence begins at {row.start}, inside the previous sentence"
                    )
                parts += ["\n" + " " * (gap - 1) if parts and gap else " " * gap, "\n".join(sentence)]
                length += sum(map(_units, parts[-2:]))
                sentence = []
            rows.append(row)
    if any(map(str.strip, sentence)):
        raise InvalidDocumentError(
            f"{place}: the sentence {sentence[0][:60]!r} has no tokens; export the document again"
        )
    return "".join(parts), rows


def _check_gaps(rows: list[_Row], text: str, place: str) -> None:
    """Check that all text is in tokens; otherwise a token is missing, with its annotations.

    INCEpTION trims white space and invisible format characters from tokens.
    """
    units, position = Utf16(text), 0
    places = [(row.place, row.start, row.end) for row in rows if not row.is_part]
    for where, begin, stop in [*places, (place, units.of(len(text)), units.of(len(text)))]:
        with located(where):
            start, end = units.to_characters(begin), units.to_characters(stop)
            if start < position:
                raise InvalidDocumentError(f"the token at {begin}-{stop} overlaps the previous token")
            if not all(one.isspace() or category(one) == "Cf" for one in text[position:start]):
                raise InvalidDocumentError(
                    f"{text[position:start][:60]!r} before offset {begin} is in no token; between tokens only white "
                    "space is allowed. Export the document again"
                )
            position = end


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _row(line: str, place: str) -> _Row:
    found = _ROW.fullmatch(line)
    if found is None:
        raise InvalidDocumentError(
            f"{place}: {line[:60]!r} is not a token; write 1-1, tab, 0-3, tab, the token, its cells"
        )
    return _Row(place, found[1] is not None, int(found[2]), int(found[3]), found[4], found[5].split("\t")[1:])


def _spans(rows: list[_Row], layers: list[_Layer], text: str) -> Iterator[Span]:
    units = Utf16(text)
    marked: dict[tuple[int, str], tuple[str, str, int, int]] = {}
    for number, row in enumerate(rows):
        with located(row.place):
            start, end = units.to_characters(row.start), units.to_characters(row.end)
            if text[start:end] not in {row.words, _unescape(row.words, _TEXT_ESCAPES)}:
                raise InvalidDocumentError(
                    f"the text at {row.start}-{row.end} is {text[start:end]!r}, not {row.words!r}"
                )
            for at, layer in enumerate(layers):
                for index, (key, label) in enumerate(_stacked(row, layer)):
                    found = at, key or f"{number}:{index}"
                    place, name, first, last = marked.get(found, (row.place, label, start, end))
                    marked[found] = place, name, min(first, start), max(last, end)
    for place, name, start, end in marked.values():
        if start == end:
            raise InvalidDocumentError(f"{place}: {name!r} is an empty span; remove it")
        yield Span(start=start, end=end, label=name)


def _stacked(row: _Row, layer: _Layer) -> Iterator[tuple[str, str]]:
    """Yield the number of each annotation of a layer, if it has one, and its label."""
    if layer.columns[-1] >= len(row.cells):
        raise InvalidDocumentError(
            f"{len(row.cells)} cells, but the header names {layer.columns[-1] + 1} columns or more"
        )
    cell = row.cells[layer.columns[0] if layer.label is None else layer.label]
    for value in re.split(r"(?<!\\)\|", cell) if cell != "_" else ():
        numbered = _NUMBERED.fullmatch(value)
        written = value if numbered is None else numbered[1]
        unlabelled = written == "*" or layer.label is None
        label = layer.name.rpartition(".")[2] if unlabelled else _unescape(written, _VALUE_ESCAPES)
        yield "" if numbered is None else numbered[2], label


def _escape(text: str, escapes: dict[str, str]) -> str:
    return re.sub("|".join(map(re.escape, escapes)), lambda found: f"\\{escapes[found[0]]}", text)


def _unescape(text: str, escapes: dict[str, str]) -> str:
    meant = {escaped: one for one, escaped in escapes.items()}
    return re.sub(rf"\\({'|'.join(map(re.escape, meant))})", lambda found: meant[found[1]], text)


def _write(documents: Iterable[Document], path: Path) -> None:
    write_files(documents, path, _render, _read_files, format_name="webanno-tsv")


def _read_files(files: Files, name: str) -> Document:
    return _make(lines_of(files[".tsv"]), name, place="what was written")


def _render(document: Document) -> Files:
    spans = () if document.gold is None else document.gold.spans
    units = Utf16(document.raw_text)
    lines = ["#FORMAT=WebAnno TSV 3.3", f"#T_SP={SPAN_LAYER}|label", "", ""]
    for number, (begin, sentence) in enumerate(_sentences(document.raw_text), start=1):
        lines += [f"#Text={_escape(line, _TEXT_ESCAPES)}" for line in sentence.split("\n")]
        for at, token in enumerate(re.finditer(r"^\s+|\S+", sentence), start=1):
            start, end = begin + token.start(), begin + token.end()
            for part, (first, last, cell) in enumerate(_cells(spans, start, end)):
                name = f"{number}-{at}.{part}" if part else f"{number}-{at}"
                words = _escape(document.raw_text[first:last], _TEXT_ESCAPES)
                lines.append(f"{name}\t{units.of(first)}-{units.of(last)}\t{words}\t{cell}\t")
        lines.append("")
    return {".tsv": "\n".join(lines)}


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the start and the text of each sentence; all except the first begin with a word."""
    begin = 0
    for feed in re.finditer(r"\n(?=\S)", text):
        if text[begin : feed.start()].strip():
            yield begin, text[begin : feed.start()]
            begin = feed.end()
    if text:
        yield begin, text[begin:]


def _cells(spans: tuple[Span, ...], start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the offsets and the numbered labels of the token and of its parts that spans mark."""
    marks: dict[tuple[int, int], list[str]] = {(start, end): []}
    for number, span in enumerate(spans, start=1):
        if span.start < end and span.end > start:
            place = max(span.start, start), min(span.end, end)
            marks.setdefault(place, []).append(f"{_escape(span.label, _VALUE_ESCAPES)}[{number}]")
    token = marks.pop((start, end))
    for (first, last), labels in [((start, end), token), *sorted(marks.items())]:
        yield first, last, "|".join(labels) or "_"


WEBANNO_TSV = Format("webanno-tsv", (), "", _read, _write, folder=True)
