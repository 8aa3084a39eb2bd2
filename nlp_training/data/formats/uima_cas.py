"""UIMA CAS JSON, which INCEpTION reads and writes: a folder with one file per Document, or one such file.

See https://github.com/apache/uima-uimaj-io-jsoncas and its specification; offsets count UTF-16 code units. The reader
reads all annotations of custom layers and named entities, by their feature `label` or `value`, relations with
`Governor` and `Dependent`, and labels of the document (`uima.cas.AnnotationBase`). Linguistic annotations such as
tokens and sentences are ignored; a warning counts other types and other features.
"""

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nlp_inference.document import Annotation, Category, Document, Relation, Span, as_document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.files.json_lines import decode_line, parse_json
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions, Unit, located, read_units
from nlp_training.data.formats.folders import Files, id_of_file, write_files
from nlp_training.data.formats.offsets import Utf16
from nlp_training.data.notes import count_unread
from nlp_training.data.records import READ_FROM

SPAN_LAYER = "custom.Span"
"""The layer of INCEpTION that spans are written to."""

_RELATION, _CATEGORY = "custom.Relation", "custom.DocumentLabel"
_NAMED_ENTITY = "de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"
_NOT_READ = ("uima.", "de.tudarmstadt.ukp.")
_CORE = "de.tudarmstadt.ukp.dkpro.core.api."
LINGUISTIC = ("uima.", *(f"{_CORE}{part}." for part in ("segmentation", "lexmorph", "syntax", "metadata", "morph")))
"""Linguistic types, such as words, sentences, parts of speech and trees, which are ignored."""

_READ = frozenset({"sofa", "begin", "end", "label", "value", "score", "Governor", "Dependent"})


def _feature(name: str, kind: str) -> dict[str, dict[str, str]]:
    return {name: {"%NAME": name, "%RANGE": kind}}


_LABEL = {**_feature("label", "uima.cas.String"), **_feature("score", "uima.cas.Double")}
_TYPES = {
    SPAN_LAYER: {"%NAME": SPAN_LAYER, "%SUPER_TYPE": "uima.tcas.Annotation", **_LABEL},
    _RELATION: {
        "%NAME": _RELATION,
        "%SUPER_TYPE": "uima.tcas.Annotation",
        **_feature("Governor", SPAN_LAYER),
        **_feature("Dependent", SPAN_LAYER),
        **_LABEL,
    },
    _CATEGORY: {"%NAME": _CATEGORY, "%SUPER_TYPE": "uima.cas.AnnotationBase", **_LABEL},
}


def is_read(layer: str) -> bool:
    """Return whether a layer of INCEpTION is read: custom layers and named entities."""
    return layer == _NAMED_ENTITY or not layer.startswith(_NOT_READ)


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InvalidDataError(f"{path} contains no .json file; export the documents as UIMA CAS JSON")
    return read_units((Unit(str(file), partial(_read_file, file, path)) for file in files), options)


def _read_file(file: Path, folder: Path) -> Document:
    with located(str(file)):
        return _make(parse_json(decode_line(file.read_bytes())), id_of_file(file, folder), place=str(file))


def _make(cas: Any, name: str, *, place: str) -> Document:
    try:
        structures = _structures(cas["%FEATURE_STRUCTURES"])
        texts = [structure for structure in structures.values() if structure.get("sofaString") is not None]
        if len(texts) != 1:
            raise InvalidDocumentError(f"{len(texts)} texts (sofas) in the CAS; expected one")
        text: str = texts[0]["sofaString"]
        gold = _annotation(structures, Utf16(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, InvalidDocumentError):
            raise
        raise InvalidDocumentError(
            f"this is not a CAS as JSON ({type(error).__name__}: {error}); export the document as UIMA CAS JSON"
        ) from error
    return as_document({"id": name, "raw_text": text, "gold": gold, "metadata": {READ_FROM: place}})


def _structures(found: Any) -> dict[int, dict[str, Any]]:
    """Return the feature structures by id, from a list or from an object whose keys are ids."""
    if isinstance(found, dict):
        return {int(number): structure for number, structure in found.items()}
    return {structure["%ID"]: structure for structure in found}


def _annotation(structures: dict[int, dict[str, Any]], units: Utf16) -> Annotation:
    spans: list[Span] = []
    categories: list[Category] = []
    places: dict[int, int] = {}
    links: list[dict[str, Any]] = []
    for number, structure in structures.items():
        kind: str = structure["%TYPE"]
        if not is_read(kind):
            count_unread(kind.rpartition(".")[2], not kind.startswith(LINGUISTIC) and "begin" in structure)
            continue
        _count_features(structure)
        if "@Governor" in structure:
            links.append(structure)
        elif "begin" in structure:
            places[number] = len(spans)
            start, end = (units.to_characters(structure[edge]) for edge in ("begin", "end"))
            spans.append(Span(start=start, end=end, **_labelled(structure)))
        elif "@sofa" in structure:
            categories.append(Category(**_labelled(structure)))
        else:
            count_unread(kind.rpartition(".")[2])
    relations = [
        Relation(head=places[link["@Governor"]], tail=places[link["@Dependent"]], **_labelled(link)) for link in links
    ]
    found = {"spans": tuple(spans), "categories": tuple(categories), "relations": tuple(relations)}
    return Annotation.model_validate({kind: kept for kind, kept in found.items() if kept})


def _count_features(structure: dict[str, Any]) -> None:
    """Count the features of an annotation other than its label and its offsets."""
    for name, value in structure.items():
        feature = name.removeprefix("@")
        if feature not in _READ and not name.startswith(("%", "^")) and value not in (None, "", False):
            count_unread(f"features {feature}")


def _labelled(structure: dict[str, Any]) -> dict[str, Any]:
    """Return the score and the label of an annotation; the default label is the name of its layer."""
    label = structure.get("label", structure.get("value"))
    return {"label": structure["%TYPE"].rpartition(".")[2] if label is None else label, "score": structure.get("score")}


def _write(documents: Iterable[Document], path: Path) -> None:
    write_files(documents, path, _render, _read_files, format_name="uima-cas")


def _read_files(files: Files, name: str) -> Document:
    return _make(parse_json(files[".json"]), name, place="what was written")


def _render(document: Document) -> Files:
    return {".json": json.dumps(_cas(document), ensure_ascii=False, indent=1)}


def _cas(document: Document) -> dict[str, Any]:
    units, gold = Utf16(document.raw_text), document.gold or Annotation()
    end = units.of(len(document.raw_text))
    sofa = {"sofaNum": 1, "sofaID": "_InitialView", "mimeType": "text/plain", "sofaString": document.raw_text}
    structures: list[dict[str, Any]] = [{"%ID": 1, "%TYPE": "uima.cas.Sofa", **sofa}]

    def add(kind: str, features: dict[str, Any]) -> None:
        known = {name: value for name, value in features.items() if value is not None}
        structures.append({"%ID": len(structures) + 1, "%TYPE": kind, "@sofa": 1, **known})

    add("uima.tcas.DocumentAnnotation", {"begin": 0, "end": end, "language": "x-unspecified"})
    first = len(structures) + 1
    places = [{"begin": units.of(span.start), "end": units.of(span.end)} for span in gold.spans]
    for place, span in zip(places, gold.spans, strict=True):
        add(SPAN_LAYER, {**place, "label": span.label, "score": span.score})
    for link in gold.relations:
        ends = {"@Governor": first + link.head, "@Dependent": first + link.tail}
        add(_RELATION, {**places[link.tail], "label": link.label, "score": link.score, **ends})
    for category in gold.categories:
        add(_CATEGORY, {"label": category.label, "score": category.score})
    members = [structure["%ID"] for structure in structures[1:]]
    views = {"_InitialView": {"%SOFA": 1, "%MEMBERS": members}}
    return {"%TYPES": _TYPES, "%FEATURE_STRUCTURES": structures, "%VIEWS": views}


UIMA_CAS = Format("uima-cas", (), "", _read, _write, folder=True)
