"""Columns of CoNLL-2002 and CoNLL-2003: one word per line, its tag last, an empty line after each sentence.

Tjong Kim Sang (2002), https://aclanthology.org/W02-2024; Tjong Kim Sang and De Meulder (2003),
https://aclanthology.org/W03-0419. Columns between the word and the tag are not read.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from nlp_inference.document import Annotation, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import (
    Format,
    ReadOptions,
    Unit,
    lines_of,
    located,
    new_file,
    numbered_lines,
    read_units,
)
from nlp_training.data.formats.parts import check_comes_back, own_id, refuse
from nlp_training.data.records import READ_FROM
from nlp_training.data.tags import join_tokens, spans_to_tags, tags_to_spans

DOCUMENT = "document"
"""The key of `Document.metadata` for the document that contains a sentence."""

_DOCSTART = "-DOCSTART-"
_NAME = re.compile(rf"{_DOCSTART}[ \t]+\((.*)\)")

Line = tuple[int, str]


class _Sentence(NamedTuple):
    lines: list[Line]


class _Start(NamedTuple):
    """A line that begins a document, with the name in its brackets (as in AIDA CoNLL-YAGO), if any."""

    number: int
    name: str | None


def read_conll(lines: Iterable[Line], path: Path | str) -> Iterator[Unit]:
    """Yield one Document per sentence, with its words joined by single spaces.

    The letters of BIO2 (IOB2), IOB1, BILOU and BIOES are unambiguous, see `tags_to_spans`. Sentences without a second
    column are not annotated. After a `-DOCSTART-` line, the metadata contains the name in its brackets, or the number
    of the document.
    """
    document, count = None, 0
    for part in _parts(lines):
        if isinstance(part, _Start):
            count += 1
            document = str(count) if part.name is None else part.name
        else:
            place = f"{path}:{part.lines[0][0]}"
            metadata = {} if document is None else {DOCUMENT: document}
            yield Unit(place, partial(_make, [part], path, place, metadata=metadata))


def read_conll_documents(lines: Iterable[Line], path: Path | str) -> Iterator[Unit]:
    r"""Yield one Document per `-DOCSTART-` line, with its sentences joined by `\n`."""
    start: _Start | None = None
    sentences: list[_Sentence] = []
    for part in _parts(lines):
        if isinstance(part, _Sentence):
            sentences.append(part)
            continue
        if start is not None or sentences:
            yield _document_unit(start, sentences, path)
        start, sentences = part, []
    if start is not None or sentences:
        yield _document_unit(start, sentences, path)


def _document_unit(start: _Start | None, sentences: list[_Sentence], path: Path | str) -> Unit:
    if start is None:
        return Unit(f"{path}:{sentences[0].lines[0][0]}", partial(_refuse_stray, path, sentences))
    place = f"{path}:{start.number}"
    return Unit(place, partial(_make, sentences, path, place, name=start.name))


def _refuse_stray(path: Path | str, sentences: list[_Sentence]) -> Document:
    raise InvalidDocumentError(
        f"{path}:{sentences[0].lines[0][0]}: {len(sentences)} sentences before any {_DOCSTART} line; read them one by "
        "one, with the format conll"
    )


def _parts(lines: Iterable[Line]) -> Iterator[_Sentence | _Start]:
    sentence: list[Line] = []
    for number, line in lines:
        content = line.strip(" \t")
        starts = content == _DOCSTART or content.startswith((f"{_DOCSTART} ", f"{_DOCSTART}\t"))
        if content and not starts:
            sentence.append((number, content))
            continue
        if sentence:
            yield _Sentence(sentence)
            sentence = []
        if starts:
            named = _NAME.match(content)
            yield _Start(number, named[1] if named else None)
    if sentence:
        yield _Sentence(sentence)


def _make(
    sentences: list[_Sentence],
    path: Path | str,
    place: str,
    *,
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Document:
    texts: list[str] = []
    spans: list[Span] = []
    position, columns = 0, len(_fields(sentences[0].lines[0])) if sentences else 1
    for sentence in sentences:
        rows = [_row(line, columns, path) for line in sentence.lines]
        text, offsets = join_tokens([row[0] for row in rows])
        if columns > 1:
            with located(_location_of_tags([row[-1] for row in rows], sentence, path)):
                places = [(position + start, position + end) for start, end in offsets]
                spans += tags_to_spans([row[-1] for row in rows], places)
        texts.append(text)
        position += len(text) + 1
    gold = Annotation(spans=tuple(spans)) if columns > 1 else None
    with located(place):
        fields = {"id": name, "raw_text": "\n".join(texts), "gold": gold}
        return as_document({**fields, "metadata": {**(metadata or {}), READ_FROM: place}}, default_id=place)


def _fields(line: Line) -> list[str]:
    return re.split(r"[ \t]+", line[1])


def _row(line: Line, columns: int, path: Path | str) -> list[str]:
    row = _fields(line)
    if len(row) != columns:
        raise InvalidDocumentError(
            f"{path}:{line[0]}: {line[1]!r} has {len(row)} columns, the lines above have {columns}; separate them by a "
            "space or a tab"
        )
    return row


def _location_of_tags(tags: list[str], sentence: _Sentence, path: Path | str) -> str:
    """Return the location of the first invalid tag, or of the first word if all tags are valid."""
    for (number, _), tag in zip(sentence.lines, tags, strict=True):
        try:
            tags_to_spans([tag], [(0, 1)])
        except InvalidDocumentError:
            return f"{path}:{number}"
    return f"{path}:{sentence.lines[0][0]}"


def write_conll(documents: Iterable[Document], path: Path) -> None:
    """Write each Document as a sentence of two columns with BIO2 tags. Words are separated by single spaces.

    Raises:
        InvalidDocumentError: reading would not restore the Document: its words are not separated by single spaces,
            spans overlap or do not start and end at word boundaries, or it has more than spans and `metadata.document`.
    """
    current: Any = None
    with new_file(path) as file:
        for document in documents:
            name = document.metadata.get(DOCUMENT)
            if name is None and current is not None:
                raise refuse(document, "conll", f"a sentence outside of documents after one of {current!r}")
            start = f"{_DOCSTART} ({name})\n\n" if name is not None else ""
            sentence = _render(document, document.raw_text, 0, "conll")
            check_comes_back(document, _back(start + sentence, document, "conll"), "conll")
            file.write((start if name != current else "") + sentence + "\n")
            current = name


def write_conll_documents(documents: Iterable[Document], path: Path) -> None:
    """Write each Document as a `-DOCSTART-` line with its id, and its lines as sentences like `write_conll`."""
    name = "conll-documents"
    with new_file(path) as file:
        for document in documents:
            given = own_id(document)
            rendered = f"{_DOCSTART} ({given})\n\n" if given is not None else f"{_DOCSTART}\n\n"
            position = 0
            for line in document.raw_text.split("\n"):
                rendered += _render(document, line, position, name) + "\n"
                position += len(line) + 1
            check_comes_back(document, _back(rendered, document, name), name)
            file.write(rendered)


def _render(document: Document, text: str, position: int, format_name: str) -> str:
    """Return the lines of a sentence that begins at `position` of the text."""
    tokens = text.split(" ")
    if document.gold is None:
        return "".join(f"{token}\n" for token in tokens)
    end = position + len(text)
    spans = [span for span in document.gold.spans if position < span.end and span.start < end]
    offsets = [(position + start, position + stop) for start, stop in join_tokens(tokens)[1]]
    try:
        tags = spans_to_tags(spans, offsets)
    except InvalidDocumentError as error:
        other = "" if "overlaps" in str(error) else ", or conllu, where words need no space between them"
        raise refuse(document, format_name, f"its spans: {error}. Write jsonl{other}") from error
    return "".join(f"{token} {tag}\n" for token, tag in zip(tokens, tags, strict=True))


def _back(rendered: str, document: Document, format_name: str) -> Document:
    read = read_conll if format_name == "conll" else read_conll_documents
    try:
        units = list(read(lines_of(rendered), "what was written"))
        if len(units) == 1:
            return units[0].make()
    except InvalidDocumentError as error:
        raise refuse(document, format_name, f"its text or its labels: {error}. Write jsonl") from error
    raise refuse(document, format_name, _WHY.format(count=len(units)))


_WHY = (
    "its text: it would be read as {count} Documents because lines and empty words end a sentence. Write jsonl, or "
    "conll-documents for texts of several lines"
)


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(read_conll(numbered_lines(path, encoding=options.encoding), path), options)


def _read_documents(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(read_conll_documents(numbered_lines(path, encoding=options.encoding), path), options)


_TAKES = frozenset({"encoding"})
CONLL = Format("conll", (".conll", ".bio", ".iob"), ".conll", _read, write_conll, takes=_TAKES)
CONLL_DOCUMENTS = Format("conll-documents", (), ".conll", _read_documents, write_conll_documents, takes=_TAKES)
