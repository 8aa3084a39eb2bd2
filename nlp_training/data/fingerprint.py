"""Digests of data sets, which show whether two runs used the same documents."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from nlp_inference._utils.digests import file_digest, module_digest
from nlp_inference._utils.extras import require
from nlp_inference.document import Annotation, Document
from nlp_training.data import synthetic_pii
from nlp_training.data.sources import SyntheticPii


def documents_sha256(documents: Iterable[Document]) -> str:
    """Return the SHA-256, in hexadecimal, of the raw texts and gold of documents. Order, ids and metadata do not count.

    The digest of each document is that of its raw texts and gold as canonical JSON (sorted keys, UTF-8, spans and
    categories in order). These digests are sorted and hashed together, so repeated documents count repeatedly.

    Args:
        documents: with gold or without.

    Example:
        >>> one, two = Document(raw_text="Ana", id="1"), Document(raw_text="Rome", id="2")
        >>> documents_sha256([one, two]) == documents_sha256([two, one.model_copy(update={"id": "3"})])
        True
        >>> documents_sha256([one, two]) == documents_sha256([one, two, two])
        False
    """
    return combined_sha256(map(document_digest, documents))


def files_sha256(path: Path) -> str:
    """Return the SHA-256, in hexadecimal, of a file, or of all files in a folder with their names; used for streams.

    Hidden files and folders, such as those of editors and file browsers, are ignored.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     one = Path(folder) / "a.ann"
        ...     _ = one.write_text("T1")
        ...     files_sha256(one) == files_sha256(Path(folder))
        False
    """
    if path.is_file():
        return file_digest(path)
    names = sorted(one.relative_to(path) for one in path.rglob("*") if one.is_file())
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    named = "".join(f"{file_digest(path / name)} {name.as_posix()}\n" for name in shown)
    return hashlib.sha256(named.encode()).hexdigest()


def synthetic_sha256(made: SyntheticPii) -> str:
    """Return a digest of everything that determines the generated documents, without generating them.

    It covers the arguments (split, size, seed), the code of the generator as `module_digest` reads it, its templates
    and phrases, and the version of faker.

    Returns:
        The SHA-256 in hexadecimal.

    Raises:
        MissingExtraError: faker is not installed.

    Example:
        >>> few, more = (SyntheticPii(split="train", size=size) for size in (3, 4))
        >>> synthetic_sha256(few) == synthetic_sha256(few) != synthetic_sha256(more)
        True
    """
    folder = Path(synthetic_pii.__file__).parent
    modules = {path.name: module_digest(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))}
    modules |= {path.name: file_digest(path) for path in sorted(folder.glob("*.yaml"))}
    decides = {"asked": made.model_dump(), "modules": modules, "faker": require("faker", extra="quickstart").VERSION}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def document_digest(document: Document) -> bytes:
    """Return the SHA-256 of the raw texts and gold of one document."""
    return hashlib.sha256(_canonical(document)).digest()


def combined_sha256(digests: Iterable[bytes]) -> str:
    """Return the result of `documents_sha256` for documents with these digests."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _canonical(document: Document) -> bytes:
    content = {
        "raw_text": document.raw_text,
        "raw_text_pair": document.raw_text_pair,
        "gold": None if document.gold is None else _in_order(document.gold).model_dump(mode="json"),
    }
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _in_order(gold: Annotation) -> Annotation:
    """Sort categories, and spans unless relations refer to them by index."""
    spans = gold.spans if gold.relations else sorted(gold.spans, key=lambda span: (span.start, span.end, span.label))
    categories = sorted(gold.categories, key=lambda category: category.label)
    heads = {name: _in_order(one) for name, one in gold.heads.items()}
    return gold.model_copy(update={"spans": tuple(spans), "categories": tuple(categories), "heads": heads})
