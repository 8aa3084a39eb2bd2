"""JSON Lines: everything that a Document has, one a line (https://jsonlines.org)."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from nlp_inference.document import Document
from nlp_training.data.formats.base import Format, ReadOptions, new_file
from nlp_training.data.formats.parts import own_id, own_metadata
from nlp_training.data.readers import read_jsonl
from nlp_training.data.records import READ_FROM


def write_jsonl(documents: Iterable[Document], path: str | Path) -> None:
    """Write each Document's own JSON, one a line; nothing is lost, and what was never set is not written.

    Where a document was read is not written, since the reader says it anew; `read_jsonl` has the other shapes.

    Args:
        documents: as many as there are; one after the other is in memory.
        path: appears when it is whole.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.jsonl"
        ...     write_jsonl([Document(raw_text="Ana", id="7")], file)
        ...     file.read_text(), [document.id for document in read_jsonl(file)]
        ('{"raw_text":"Ana","id":"7"}\\n', ['7'])
    """
    with new_file(Path(path)) as file:
        for document in documents:
            plain = document
            if READ_FROM in document.metadata:
                plain = document.model_copy(update={"id": own_id(document), "metadata": own_metadata(document)})
            file.write(plain.model_dump_json(exclude_unset=True) + "\n")


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    return read_jsonl(path, columns=options.columns, on_error=options.on_error)


JSONL = Format("jsonl", (".jsonl",), ".jsonl", _read, write_jsonl, takes=frozenset({"columns"}))
