"""File formats, which read and write Documents without loss or with an error.

A new format is a module in this package with a `Format` that is listed in `FORMATS`. An installed package declares its
formats as entry points of the group `nlp_training.formats`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from nlp_inference.document import Document
from nlp_training._utils.replacing import replacing_folder
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.formats.base import Format, ReadOptions
from nlp_training.data.formats.brat import BRAT
from nlp_training.data.formats.conll import CONLL, CONLL_DOCUMENTS
from nlp_training.data.formats.conllu import CONLLU, CONLLU_DOCUMENTS
from nlp_training.data.formats.csv_and_tsv import CSV, TSV
from nlp_training.data.formats.doccano import DOCCANO, DOCCANO_CHARACTERS
from nlp_training.data.formats.installed import installed_format, installed_format_names, installed_formats
from nlp_training.data.formats.json_lines import JSONL, read_jsonl, write_jsonl
from nlp_training.data.formats.label_studio import LABEL_STUDIO
from nlp_training.data.formats.parquet import PARQUET
from nlp_training.data.formats.parts import Part, leave_out
from nlp_training.data.formats.prodigy import PRODIGY
from nlp_training.data.formats.spacy import SPACY
from nlp_training.data.formats.uima_cas import UIMA_CAS
from nlp_training.data.formats.webanno_tsv import WEBANNO_TSV

__all__ = [
    "Format",
    "Part",
    "ReadOptions",
    "format_names",
    "format_of_suffix",
    "leave_out",
    "named_format",
    "read_jsonl",
    "write_documents",
    "write_jsonl",
]

FORMATS: dict[str, Format] = {
    known.name: known
    for known in (
        JSONL,
        CSV,
        TSV,
        PARQUET,
        CONLL,
        CONLL_DOCUMENTS,
        CONLLU,
        CONLLU_DOCUMENTS,
        BRAT,
        DOCCANO,
        DOCCANO_CHARACTERS,
        LABEL_STUDIO,
        PRODIGY,
        UIMA_CAS,
        WEBANNO_TSV,
        SPACY,
    )
}
"""Every format by its name."""


def named_format(name: str) -> Format:
    """Return the format with this name.

    Raises:
        InvalidDataError: there is no format with this name.

    Example:
        >>> named_format("connl")
        Traceback (most recent call last):
        nlp_training.data.errors.InvalidDataError: unknown format 'connl'; did you mean 'conll'? Known: ...
    """
    found = FORMATS.get(name) or installed_format(name)
    if found is None:
        known = format_names()
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidDataError(f"unknown format {name!r}; {hint}Known: {', '.join(known)}")
    return found


def format_names() -> list[str]:
    """Return the names of all formats, including those of installed packages."""
    return [*FORMATS, *(name for name in installed_format_names() if name not in FORMATS)]


def format_of_suffix(path: str | Path) -> Format | None:
    """Return the format of files with this suffix, if there is one.

    Example:
        >>> format_of_suffix("data/train.conllu").name, format_of_suffix("TRAIN.CSV").name
        ('conllu', 'csv')
    """
    suffix = Path(path).suffix.lower()
    own = next((known for known in FORMATS.values() if suffix in map(str.lower, known.suffixes)), None)
    if own is not None or not suffix:
        return own
    return next((known for known in installed_formats() if suffix in map(str.lower, known.suffixes)), None)


def write_documents(documents: Iterable[Document], path: str | Path, *, format_name: str | None = None) -> None:
    """Write Documents such that reading them gives the same Documents, except for the location they are read from.

    Args:
        documents: the documents; written one by one if the format allows it.
        path: a file, or a folder for formats with one file per Document. It is replaced only after everything is
            written; after an error it is unchanged.
        format_name: one of `FORMATS`. Default: the format of the suffix of `path`.

    Raises:
        InvalidDocumentError: the format cannot store a Document; the message names it, what would be lost, and what to
            do.
        InvalidDataError: there is no such format, or the folder contains other files, which would be lost.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from nlp_inference import Annotation, Span
        >>> gold = Annotation(spans=(Span(start=0, end=3, label="PERSON"),))
        >>> with TemporaryDirectory() as folder:
        ...     write_documents([Document(raw_text="Ana lives", gold=gold)], f"{folder}/train.conll")
        ...     print(Path(folder, "train.conll").read_text().strip())
        Ana B-PERSON
        lives O
    """
    chosen = format_of_suffix(path) if format_name is None else named_format(format_name)
    if chosen is None:
        raise InvalidDataError(
            f"the suffix of {str(path)!r} does not determine its format; name one of {', '.join(format_names())}"
        )
    path = Path(path)
    if chosen.folder:
        with replacing_folder(path) as folder:
            chosen.write(documents, folder)
            _check_only_replaces_its_own(path, folder, chosen)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen.write(documents, path)


def _check_only_replaces_its_own(target: Path, new: Path, chosen: Format) -> None:
    """Check that an existing folder has only files of a format, because the new folder replaces it.

    Raises:
        InvalidDataError: it has others, such as the configuration of brat.
    """
    if not target.is_dir():
        return
    suffixes = {*chosen.suffixes, *(path.suffix for path in new.iterdir())}
    others = sorted(path.name for path in target.iterdir() if path.is_dir() or path.suffix not in suffixes)
    if others:
        raise InvalidDataError(
            f"{str(target)!r} contains other files than those of the format {chosen.name!r}, such as {others[0]!r}, "
            "which would be lost; choose another folder, and copy the files"
        )
