"""Conversion of the rows of any data set that `datasets` loads to Documents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from nlp_inference._utils.extras import require
from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.columns import Columns
from nlp_training.data.errors import BlankLabelError, InvalidDataError, OnError
from nlp_training.data.formats.rows import unpack_metadata
from nlp_training.data.notes import Notes, count_unread_keys
from nlp_training.data.records import record_to_document
from nlp_training.data.targets import TARGETS, top_column


@dataclass(frozen=True)
class Rows:
    """A request to `datasets.load_dataset`.

    Args:
        loader: the id of a data set, or the name of a loader of files, such as `parquet`.
        where: the name of the data in messages and ids.
        options: additional arguments of `load_dataset`.
        columns: the column of each field.
        label_names: the names of integer labels, if the data set does not define them.
        commit: the required commit of a data set on the Hub.
        cache_dir: the cache folder of `datasets`. Default: its standard cache.
        streaming: whether to read in parts, without a copy in the cache.
        split_given: whether the user named the split.
    """

    loader: str
    where: str
    options: Mapping[str, Any]
    columns: Columns
    label_names: tuple[str, ...] | None = None
    commit: str | None = None
    cache_dir: str | Path | None = None
    streaming: bool = False
    split_given: bool = False


def read_rows(
    request: Rows, *, on_error: OnError | None = None, notes: Notes | None = None, skip_blank: bool = False
) -> Iterator[Document]:
    """Convert every row to a Document.

    Args:
        request: the rows to load.
        on_error: receives the error of an invalid row; without it, the first error is raised.
        notes: counts what is skipped.
        skip_blank: whether to skip rows with a blank label.

    Raises:
        InvalidDocumentError: a row is not a valid Document; the message names the row.
        InvalidDataError: the data set or its commit does not exist, or it lacks a named column.
        MissingExtraError: `datasets` is not installed.
    """
    datasets = require("datasets", extra="train")
    rows = _load(datasets, request)
    if rows.features is None:  # some streams do not know their features
        again = replace(request, streaming=False)
        yield from read_rows(again, on_error=on_error, notes=notes, skip_blank=skip_blank)
        return
    notes = notes or Notes()
    try:
        columns = request.columns.resolve(list(rows.features))
    except InvalidDocumentError as error:
        raise InvalidDataError(f"{request.where}: {error}") from error
    if "spans" not in columns and "tags" not in columns and _holds_spans(rows.features.get("entities")):
        columns["spans"] = "entities"
    if columns.get("target") in TARGETS and not _is_text(datasets, rows.features[columns["target"]]):
        del columns["target"]
    plain = _plain_columns(datasets, rows.features, columns)
    with notes.collecting():
        claimed = {*map(top_column, columns.values()), *columns.values(), *plain}
        count_unread_keys({key: ["a column"] for key in {*rows.features} - claimed})
    names = _label_names(rows.features, columns, given=request.label_names)
    for number, row in enumerate(rows.select_columns([name for name in rows.features if name in claimed]), start=1):
        where = f"{request.where} row {number}"
        try:
            with notes.collecting():
                document = _row_to_document(row, columns, names, where=where, skip_blank=skip_blank)
        except BlankLabelError:
            notes.blank += 1
        except InvalidDocumentError as error:
            located_error = InvalidDocumentError(f"{where}: {error}")
            if on_error is None:
                raise located_error from error
            on_error(located_error)
        else:
            yield document


def _load(datasets: ModuleType, request: Rows) -> Any:
    """Load a data set and check its commit: without the Hub, `datasets` loads any commit in its cache."""
    options = {**request.options, "cache_dir": None if request.cache_dir is None else str(request.cache_dir)}
    try:
        if is_saved_to_disk(request.loader):
            return _load_saved(datasets, request)
        if request.commit is None:
            return datasets.load_dataset(request.loader, **options, streaming=request.streaming)
        split = options.pop("split")
        builder = datasets.load_dataset_builder(request.loader, **options)
        if builder.hash == request.commit:
            if request.streaming:
                return builder.as_streaming_dataset(split=split)
            builder.download_and_prepare()
            return builder.as_dataset(split=split)
    except InvalidDataError:
        raise
    except Exception as error:  # datasets raises many types, from OSError to TypeError
        raise InvalidDataError(
            f"{request.where} cannot be loaded: {type(error).__name__}: {error}. Check the path or the id, the name "
            "and the split; if the Hub cannot be reached, use a local file, as in data.train=train.jsonl"
        ) from error
    raise InvalidDataError(
        f"{request.where} cannot be loaded: the Hub did not return its commit {request.commit}, and the cache of "
        f"datasets contains {builder.hash} instead; load it with access to the Hub, or set the revision that you have"
    )


def is_saved_to_disk(path: str | Path) -> bool:
    """Return whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` of `datasets` wrote a folder."""
    folder = Path(path)
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def _load_saved(datasets: ModuleType, request: Rows) -> Any:
    """Load a folder that `save_to_disk` wrote."""
    saved, split = datasets.load_from_disk(request.loader), request.options.get("split")
    if request.options.get("name") is not None or request.options.get("revision") is not None:
        raise InvalidDataError(
            f"{request.loader}: a folder that save_to_disk wrote has no name or revision; remove these keys"
        )
    if not isinstance(saved, Mapping):
        if request.split_given:
            raise InvalidDataError(f"{request.loader} is a data set without splits; remove the split {split!r}")
        return saved
    if split not in saved:
        raise InvalidDataError(
            f"{request.loader} has no split {split!r}, only {', '.join(map(repr, saved))}; set `split` to one of them; "
            "slices such as train[:10%] require a data set on the Hub"
        )
    return saved[split]


def _row_to_document(
    row: Mapping[str, Any],
    columns: Mapping[str, str],
    names: Mapping[str, Sequence[str]],
    *,
    where: str,
    skip_blank: bool,
) -> Document:
    row = unpack_metadata(row, columns.values())
    return record_to_document(row, columns=columns, read_from=where, names=names, skip_blank=skip_blank)


def _holds_spans(feature: Any) -> bool:
    """Return whether a column contains lists of `{start, end, label}`."""
    inner = _innermost(feature)
    return inner is not feature and isinstance(inner, Mapping) and {"start", "end", "label"} <= {*inner}


def _is_text(datasets: ModuleType, feature: Any) -> bool:
    """Return whether a column contains strings."""
    return isinstance(feature, datasets.Value) and feature.dtype.endswith("string")


def _plain_columns(datasets: ModuleType, features: Mapping[str, Any], columns: Mapping[str, str]) -> list[str]:
    """Return the other columns that metadata can contain: strings, numbers and booleans, but no images or dates."""
    kinds = ("string", "large_string", "bool", "int", "uint", "float")
    return [
        name
        for name, feature in features.items()
        if name not in columns.values()
        and name not in map(top_column, columns.values())
        and isinstance(feature, datasets.Value)
        and feature.dtype.startswith(kinds)
    ]


def _label_names(
    features: Mapping[str, Any], columns: Mapping[str, str], *, given: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    """Return the names of integer labels by field: the given ones, or those of the data set's `ClassLabel`."""
    names: dict[str, tuple[str, ...]] = {}
    for field in ("tags", "spans", "labels", "label"):
        feature = _innermost(features.get(columns.get(field, "")))
        if isinstance(feature, Mapping):
            feature = _innermost(feature.get("label"))
        known = given or getattr(feature, "names", None)
        if known:
            names[field] = tuple(known)
    return names


def _innermost(feature: Any) -> Any:
    """Return the feature of the elements of a list feature, or the feature itself."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return getattr(feature, "feature", feature)
