"""The writer of CoNLL-U, and its two formats: one Document per sentence or per document. See also `conllu_reader`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import Format, ReadOptions, lines_of, new_file, numbered_lines, read_units
from nlp_training.data.formats.conll import DOCUMENT
from nlp_training.data.formats.conllu_reader import ESCAPES, read_conllu, read_conllu_documents
from nlp_training.data.formats.parts import check_comes_back, own_id, own_metadata, refuse, refusing
from nlp_training.data.tags import spans_to_tags

_WORD = re.compile(r"\w+|[^\w\s]")

Place = tuple[int, int]


def write_conllu(documents: Iterable[Document], path: Path) -> None:
    """Write each Document as a sentence.

    Words are runs of letters and digits; every other character is a separate word. Words are split at span boundaries.

    Raises:
        InvalidDocumentError: reading would not restore the Document: its text has several lines, spans overlap or begin
            or end with white space, or its metadata contains values that are not strings.
    """
    current: Any = None
    with new_file(path) as file:
        for document in documents:
            metadata = own_metadata(document)
            name = metadata.pop(DOCUMENT, None)
            if name is None and current is not None:
                raise refuse(document, "conllu", f"a sentence outside of documents after one of {current!r}")
            start = f"# newdoc id = {name}\n" if name is not None else ""
            comments = _comments({"sent_id": own_id(document), **metadata, "text": document.raw_text})
            places = _words(document, "conllu")
            sentence = comments + _rows(document, places, _tags(document, places, "conllu")) + "\n"
            check_comes_back(document, _back(start + sentence, document, "conllu"), "conllu")
            file.write((start if name != current else "") + sentence)
            current = name


def write_conllu_documents(documents: Iterable[Document], path: Path) -> None:
    """Write each Document as a `# newdoc` with one sentence per line, like `write_conllu`."""
    name = "conllu-documents"
    with new_file(path) as file:
        for document in documents:
            given = own_id(document)
            start = "# newdoc\n" if given is None else f"# newdoc id = {given}\n"
            rendered = start + _comments({f"meta::{key}": value for key, value in own_metadata(document).items()})
            places = _words(document, name)
            tags = _tags(document, places, name)
            for first, last in _sentences(document, places):
                text = document.raw_text[places[first][0] : places[last - 1][1]]
                chosen = None if tags is None else tags[first:last]
                comment = {} if "\n" in text else {"text": text}
                rendered += _comments(comment) + _rows(document, places, chosen, first=first, last=last) + "\n"
            check_comes_back(document, _back(rendered, document, name), name)
            file.write(rendered)


def _words(document: Document, format_name: str) -> list[Place]:
    """Return the offsets of the words, which contain every character except white space.

    Raises:
        InvalidDocumentError: the text has no words.
    """
    if not document.raw_text.strip():
        raise refuse(document, format_name, "a text without words; write jsonl, or remove the document")
    if format_name == "conllu" and "\n" in document.raw_text:
        raise refuse(document, format_name, "a text of several lines; write jsonl or conllu-documents")
    spans = () if document.gold is None else document.gold.spans
    cuts = {position for span in spans for position in (span.start, span.end)}
    places = []
    for found in _WORD.finditer(document.raw_text):
        start = found.start()
        for end in range(start + 1, found.end() + 1):
            if end == found.end() or end in cuts:
                places.append((start, end))
                start = end
    return places


def _tags(document: Document, places: list[Place], format_name: str) -> list[str] | None:
    if document.gold is None:
        return None
    try:
        return spans_to_tags(document.gold.spans, places)
    except InvalidDocumentError as error:
        raise refuse(document, format_name, f"its spans: {error}. Write jsonl") from error


def _sentences(document: Document, places: list[Place]) -> Iterator[Place]:
    """Yield the first word and the end of each line that has words. A line that ends inside a span is continued."""
    spans = () if document.gold is None else document.gold.spans
    first = 0
    for index in range(1, len(places)):
        end, start = places[index - 1][1], places[index][0]
        breaks = "\n" in document.raw_text[end:start]
        if breaks and not any(span.start < end and start < span.end for span in spans):
            yield first, index
            first = index
    yield first, len(places)


def _comments(comments: dict[str, Any]) -> str:
    return "".join(f"# {key} = {value}\n" for key, value in comments.items() if value is not None)


def _rows(
    document: Document,
    places: list[Place],
    tags: list[str] | None,
    *,
    first: int | None = None,
    last: int | None = None,
) -> str:
    """Return the lines of the words. White space around a sentence is kept only inside of documents."""
    is_sentence = first is None
    first, last = first or 0, len(places) if last is None else last
    text, rows = document.raw_text, []
    for index in range(first, last):
        start, end = places[index]
        following = places[index + 1][0] if index + 1 < len(places) else len(text)
        is_last = index + 1 == last
        misc = {} if tags is None else {"ner": tags[index - first]}
        if not (is_sentence and is_last):
            misc |= _space_after(text[end:following], at_end=index + 1 == len(places))
        if not is_sentence and not index and start:
            misc["SpacesBefore"] = _escape(text[:start])
        pairs = "|".join(f"{key}={value}" for key, value in sorted(misc.items(), key=lambda pair: pair[0].lower()))
        rows.append("\t".join([str(index - first + 1), text[start:end], *["_"] * 7, pairs or "_"]))
    return "".join(f"{row}\n" for row in rows)


def _space_after(space: str, *, at_end: bool) -> dict[str, str]:
    if not space:
        return {} if at_end else {"SpaceAfter": "No"}
    return {} if space == " " and not at_end else {"SpacesAfter": _escape(space)}


def _escape(space: str) -> str:
    return "".join(ESCAPES.get(character, character) for character in space)


def _back(rendered: str, document: Document, format_name: str) -> Document:
    read = read_conllu if format_name == "conllu" else read_conllu_documents
    with refusing(document, format_name):
        units = list(read(lines_of(rendered), "what was written"))
        if len(units) == 1:
            return units[0].make()
    raise refuse(document, format_name, f"its text: it would be read as {len(units)} Documents. Write jsonl")


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(read_conllu(numbered_lines(path), path), options)


def _read_documents(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_units(read_conllu_documents(numbered_lines(path), path), options)


CONLLU = Format("conllu", (".conllu",), ".conllu", _read, write_conllu)
CONLLU_DOCUMENTS = Format("conllu-documents", (), ".conllu", _read_documents, write_conllu_documents)
