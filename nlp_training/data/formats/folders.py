"""Formats with one or several files per Document, whose name is the id of the Document."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

from nlp_inference.document import Document
from nlp_training.data.formats.parts import check_readable, own_id, refuse

Files = Mapping[str, str]
"""The contents of the files of one Document, by suffix."""


def file_name(given: str) -> str:
    """Return the id of a Document as a file name for any system; `urllib.parse.unquote` restores the id.

    Example:
        >>> file_name("notes/7: old"), file_name("..")
        ('notes%2F7%3A old', '%2E.')
    """
    quoted = quote(given, safe=" !#$&'()+,;=@[]^{}~")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def id_of_file(file: Path, source: Path) -> str:
    """Return the id of the Document in a file, which is in the folder `source` or is `source`.

    Example:
        >>> id_of_file(Path("set/a%2Fb.txt/admin.json"), Path("set"))
        'a/b.txt/admin'
    """
    name = Path(file.name) if file == source else file.relative_to(source)
    return unquote(name.with_suffix("").as_posix())


def write_files(
    documents: Iterable[Document],
    folder: Path,
    render: Callable[[Document], Files],
    make: Callable[[Files, str], Document],
    *,
    format_name: str,
) -> None:
    """Write the files that `render` makes of each Document, from which `make` must restore the Document.

    Raises:
        InvalidDocumentError: a Document would not be restored, or its id is not unique.
    """
    taken: set[str] = set()
    for number, document in enumerate(documents, start=1):
        given = own_id(document)
        name = f"{number:06}" if given is None else file_name(given)
        files = render(document)
        check_readable(document, partial(_read_back, make, files, name, given), format_name)
        if not name or name in taken:
            raise refuse(
                document, format_name, f"the id {given!r}, which is the name of a file; give every document its own id"
            )
        taken.add(name)
        for suffix, content in files.items():
            (folder / f"{name}{suffix}").write_bytes(content.encode("utf-8"))


def _read_back(make: Callable[[Files, str], Document], files: Files, name: str, given: str | None) -> Document:
    back = make(files, unquote(name))
    return back if given is not None else back.model_copy(update={"id": None})
