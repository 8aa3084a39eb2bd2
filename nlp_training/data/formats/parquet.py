"""Parquet: one Document per row (https://parquet.apache.org/docs/file-format), read by `datasets`."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from nlp_inference._utils.extras import require
from nlp_inference.document import Document
from nlp_training.data.formats.base import Format, ReadOptions, new_path
from nlp_training.data.formats.rows import COLUMNS, document_to_row

_ROWS_AT_ONCE = 4096


def _read(path: Path, options: ReadOptions) -> Iterator[Document]:
    from nlp_training.data.dataset_rows import Rows, read_rows  # it imports this package

    files = {"data_files": {"train": str(path)}, "split": "train"}
    request = Rows("parquet", str(path), files, options.columns, options.label_names, streaming=True)
    return read_rows(request, on_error=options.on_error, notes=options.notes, skip_blank=options.skip_blank_labels)


def _write(documents: Iterable[Document], path: Path) -> None:
    """Write one row per Document, in chunks of several thousand; the metadata column contains JSON."""
    arrow, parquet = require("pyarrow", extra="train"), require("pyarrow.parquet", extra="train")
    schema = _schema(arrow)
    with new_path(path) as unfinished, parquet.ParquetWriter(unfinished, schema) as writer:
        rows = (document_to_row(document, "parquet") for document in documents)
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            writer.write_table(arrow.Table.from_pylist(chunk, schema=schema))


def _schema(arrow: Any) -> Any:
    text = arrow.string()
    kinds = dict.fromkeys(COLUMNS, text) | {
        "labels": arrow.list_(text),
        "spans": arrow.list_(arrow.struct({"start": arrow.int64(), "end": arrow.int64(), "label": text})),
        "relations": arrow.list_(arrow.struct({"head": arrow.int64(), "tail": arrow.int64(), "label": text})),
        "score": arrow.float64(),
    }
    return arrow.schema(list(kinds.items()))


PARQUET = Format("parquet", (".parquet",), ".parquet", _read, _write, rows="parquet")
