r"""The reader of CoNLL-U: ten columns per word, comments before sentences (https://universaldependencies.org/format.html).

The text comes from `# text` or from `SpaceAfter=No`; other white space is in `SpacesBefore` and `SpacesAfter`, as
UDPipe writes it (https://ufal.mff.cuni.cz/udpipe/1/users-manual). Entities are tags in MISC, `ner=B-PER`, as Stanza
writes them. Lemmas, parts of speech and trees are not read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nlp_inference.document import Annotation, Document, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.formats.base import Unit, located
from nlp_training.data.formats.conll import DOCUMENT
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM
from nlp_training.data.tags import find_tokens, tags_to_spans

ESCAPES = {" ": r"\s", "\t": r"\t", "\n": r"\n", "\r": r"\r", "|": r"\p", "\\": "\\\\"}
"""The escapes of white space in MISC, as in UDPipe."""

_CHARACTERS = {escape: character for character, escape in ESCAPES.items()}
_COMMENT = re.compile(r"#[ \t]*(.*?)[ \t]*=[ \t]?(.*)", re.DOTALL)
_ID = re.compile(r"(\d+)(?:(-)(\d+)|(\.)\d+)?")
_TAG_KEYS = frozenset({"ner", "name", "ne", "entity"})
_NO_METADATA = frozenset({"sent_id", "text", "newdoc id", "newpar id", "global.columns"})

Line = tuple[int, str]


class Token(NamedTuple):
    """A word of the text, or several words that are written as one."""

    line: int
    form: str
    tag: str | None
    before: str
    after: str | None


@dataclass
class Sentence:
    """The comments and tokens of a sentence. `new_document` is the id of the document that it begins, or empty."""

    line: int
    comments: dict[str, str] = field(default_factory=dict)
    new_document: str | None = None
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def read_conllu(lines: Iterable[Line], path: Path | str) -> Iterator[Unit]:
    """Yield one Document per sentence. Comments `# key = value` and the id of its document become metadata."""
    document, count = None, 0
    for sentence in _sentences(lines):
        if sentence.new_document is not None:
            count += 1
            document = sentence.new_document or str(count)
        metadata = {key: value for key, value in sentence.comments.items() if key not in _NO_METADATA}
        if document is not None:
            metadata[DOCUMENT] = document
        name = sentence.comments.get("sent_id")
        yield _unit([sentence], path, name=name, metadata=metadata, is_document=False)


def read_conllu_documents(lines: Iterable[Line], path: Path | str) -> Iterator[Unit]:
    """Yield one Document per `# newdoc`. Comments `# meta::key = value` become metadata."""
    sentences: list[Sentence] = []
    for sentence in _sentences(lines):
        if sentence.new_document is not None and sentences:
            yield _document_unit(sentences, path)
            sentences = []
        sentences.append(sentence)
    if sentences:
        yield _document_unit(sentences, path)


def _document_unit(sentences: list[Sentence], path: Path | str) -> Unit:
    comments = sentences[0].comments
    metadata = {key.removeprefix("meta::"): value for key, value in comments.items() if key.startswith("meta::")}
    return _unit(sentences, path, name=sentences[0].new_document or None, metadata=metadata, is_document=True)


def _unit(
    sentences: list[Sentence], path: Path | str, *, name: str | None, metadata: dict[str, str], is_document: bool
) -> Unit:
    place = f"{path}:{sentences[0].line}"
    fields: dict[str, object] = {"id": name, "metadata": {**metadata, READ_FROM: place}}
    return Unit(place, partial(_make, sentences, path, place, fields, is_document=is_document))


def _sentences(lines: Iterable[Line]) -> Iterator[Sentence]:
    sentence: Sentence | None = None
    for number, line in lines:
        if not line.strip(" \t"):
            if sentence is not None:
                yield sentence
            sentence = None
            continue
        sentence = sentence or Sentence(number)
        if not line.startswith("#"):
            sentence.rows.append((number, line.split("\t")))
        elif line[1:].strip() == "newdoc":
            sentence.new_document = ""
        elif (comment := _COMMENT.fullmatch(line)) is not None:
            sentence.comments[comment[1]] = comment[2]
            if comment[1] == "newdoc id":
                sentence.new_document = comment[2]
    if sentence is not None:
        yield sentence


def _make(
    sentences: list[Sentence], path: Path | str, place: str, fields: dict[str, object], *, is_document: bool
) -> Document:
    text, gap, last = "", "", ""
    spans: list[Span] = []
    annotated = False
    for sentence in sentences:
        tokens = _tokens(sentence, path)
        text += gap + (tokens[0].before if is_document else "")
        with located(f"{path}:{tokens[0].line}"):
            content, offsets = _locate(tokens, sentence.comments.get("text"), exact=not is_document)
            if any(token.tag is not None for token in tokens):
                annotated = True
                places = [(len(text) + start, len(text) + end) for start, end in offsets]
                spans += tags_to_spans([token.tag or "O" for token in tokens], places)
        text += content
        gap = " " if tokens[-1].after is None else tokens[-1].after
        last = tokens[-1].after or ""
    if is_document:
        text += last
    with located(place):
        gold = Annotation(spans=tuple(spans)) if annotated else None
        return as_document({**fields, "raw_text": text, "gold": gold}, default_id=place)


def _locate(tokens: list[Token], comment: str | None, *, exact: bool) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of a sentence and the offsets of its tokens. The comment takes precedence over the words."""
    text = ""
    offsets = []
    for token in tokens:
        offsets.append((len(text), len(text) + len(token.form)))
        text += token.form + (" " if token.after is None else token.after)
    text = text[: offsets[-1][1]]
    if comment is None or (not exact and comment.strip() == text):
        return text, offsets
    return comment, find_tokens([token.form for token in tokens], comment)


def _tokens(sentence: Sentence, path: Path | str) -> list[Token]:
    tokens: list[Token] = []
    inside = 0
    for number, row in sentence.rows:
        place = f"{path}:{number}"
        if len(row) != 10:
            raise InvalidDocumentError(f"{place}: {len(row)} columns; CoNLL-U has 10, separated by tabs")
        found = _ID.fullmatch(row[0])
        if found is None:
            raise InvalidDocumentError(f"{place}: the id of a word is {row[0]!r}; write 1, 1-2 or 1.1")
        token = _token(number, row)
        if found[4]:  # an empty node, which is not in the text
            count_unread("tags of words that are not written", (token.tag or "O") != "O")
            continue
        if found[2]:
            inside = int(found[3])
            tokens.append(token)
        elif int(found[1]) <= inside:
            previous = tokens[-1].tag or "O"
            if previous == "O" and token.tag is not None:
                tokens[-1] = tokens[-1]._replace(tag=token.tag)
            elif token.tag is not None and token.tag != "O":
                count_unread("tags of words that are written as one", token.tag[2:] != previous[2:])
        else:
            tokens.append(token)
    if not tokens:
        raise InvalidDocumentError(f"{path}:{sentence.line}: a sentence without words")
    return tokens


def _token(number: int, row: list[str]) -> Token:
    pairs = dict(pair.partition("=")[::2] for pair in row[9].split("|"))
    after = "" if pairs.get("SpaceAfter") == "No" else None
    if "SpacesAfter" in pairs:
        after = _unescape(pairs["SpacesAfter"])
    named = [value for key, value in pairs.items() if key.lower() in _TAG_KEYS and value not in ("", "_")]
    tags = list(filter(_is_tag, named))
    tag = next(iter(tags), None)
    count_unread("entities in brackets in MISC", len(named) - len(tags))
    count_unread("further tags of a word in MISC", len({*tags}) - 1 if tags else 0)
    return Token(number, row[1], tag, _unescape(pairs.get("SpacesBefore", "")), after)


def _is_tag(value: str) -> bool:
    """Return whether this is a tag rather than the brackets of other schemes under the same key."""
    return value == "O" or value[1:2] == "-"


def _unescape(text: str) -> str:
    return re.sub(r"\\[stnrp\\]", lambda found: _CHARACTERS[found[0]], text)
