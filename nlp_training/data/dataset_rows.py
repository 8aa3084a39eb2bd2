"""Rows of anything that `datasets` loads, as Documents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from nlp_inference._utils.extras import require
from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_training.data.errors import BlankLabelError, InvalidDataError, OnError
from nlp_training.data.formats.rows import unpack_metadata
from nlp_training.data.notes import Notes, count_unread_keys
from nlp_training.data.records import Columns, record_to_document


@dataclass(frozen=True)
class Rows:
    """What `datasets.load_dataset` is asked for.

    Args:
        loader: the id of a data set, or the name of a loader of files, such as `parquet`.
        where: what the data is called in messages and ids.
        options: further arguments of `load_dataset`.
        columns: which column holds what.
        label_names: what integers stand for, where the data set does not say.
        commit: of a data set of the Hub, if it is to be that one and no other.
        cache_dir: where `datasets` keeps what it loaded. Default: its own cache.
        streaming: read without making a copy in the cache first, a part at a time.
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
    asked: Rows, *, on_error: OnError | None = None, notes: Notes | None = None, skip_blank: bool = False
) -> Iterator[Document]:
    """Make a Document of every row.

    Args:
        asked: which rows.
        on_error: is told of a row that describes no Document; without it, the first one is raised.
        notes: counts what is left out.
        skip_blank: whether rows with a blank label are left out.

    Raises:
        InvalidDocumentError: a row does not describe a Document; names it.
        InvalidDataError: there is no such data set, or no such commit of it, or it has not the columns that are named.
        MissingExtraError: `datasets` is not installed.
    """
    datasets = require("datasets", extra="train")
    rows = _load(datasets, asked)
    if rows.features is None:  # a stream of a kind that does not say what it holds
        again = replace(asked, streaming=False)
        yield from read_rows(again, on_error=on_error, notes=notes, skip_blank=skip_blank)
        return
    notes = notes or Notes()
    try:
        columns = asked.columns.resolve(list(rows.features))
    except InvalidDocumentError as error:
        raise InvalidDataError(f"{asked.where}: {error}") from error
    if "spans" not in columns and "tags" not in columns and _holds_spans(rows.features.get("entities")):
        columns["spans"] = "entities"
    plain = _plain_columns(datasets, rows.features, columns)
    with notes.collecting():
        count_unread_keys({key: ["a column"] for key in {*rows.features} - {*columns.values(), *plain}})
    names = _label_names(rows.features, columns, given=asked.label_names)
    for number, row in enumerate(rows.select_columns([*columns.values(), *plain]), start=1):
        where = f"{asked.where} row {number}"
        try:
            with notes.collecting():
                document = _row_to_document(row, columns, names, where=where, skip_blank=skip_blank)
        except BlankLabelError:
            notes.blank += 1
        except InvalidDocumentError as error:
            told = InvalidDocumentError(f"{where}: {error}")
            if on_error is None:
                raise told from error
            on_error(told)
        else:
            yield document


def _load(datasets: ModuleType, asked: Rows) -> Any:
    """What `datasets` loads, of the commit that is asked for: without the Hub, it takes any that is in its cache."""
    options = {**asked.options, "cache_dir": None if asked.cache_dir is None else str(asked.cache_dir)}
    try:
        if is_saved_to_disk(asked.loader):
            return _load_saved(datasets, asked)
        if asked.commit is None:
            return datasets.load_dataset(asked.loader, **options, streaming=asked.streaming)
        split = options.pop("split")
        builder = datasets.load_dataset_builder(asked.loader, **options)
        if builder.hash == asked.commit:
            if asked.streaming:
                return builder.as_streaming_dataset(split=split)
            builder.download_and_prepare()
            return builder.as_dataset(split=split)
    except InvalidDataError:
        raise
    except Exception as error:  # datasets raises anything, from OSError to TypeError
        raise InvalidDataError(
            f"{asked.where} cannot be loaded: {type(error).__name__}: {error}. Check the path or the id, the name and "
            "the split; where the Hub cannot be reached, give a local file, as in data.train=train.jsonl"
        ) from error
    raise InvalidDataError(
        f"{asked.where} cannot be loaded: the Hub did not give its commit {asked.commit}, and the cache of datasets "
        f"has {builder.hash} in its place; load it where the Hub can be reached, or give the revision that you have"
    )


def is_saved_to_disk(path: str | Path) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` of `datasets` wrote a folder."""
    folder = Path(path)
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def _load_saved(datasets: ModuleType, asked: Rows) -> Any:
    """The rows of a folder that `save_to_disk` wrote."""
    saved, split = datasets.load_from_disk(asked.loader), asked.options.get("split")
    if asked.options.get("name") is not None or asked.options.get("revision") is not None:
        raise InvalidDataError(
            f"{asked.loader}: a folder that save_to_disk wrote has no name or revision; leave it out"
        )
    if not isinstance(saved, Mapping):
        if asked.split_given:
            raise InvalidDataError(f"{asked.loader} holds one data set without splits; leave the split {split!r} out")
        return saved
    if split not in saved:
        raise InvalidDataError(
            f"{asked.loader} has no split {split!r}, only {', '.join(map(repr, saved))}; name one as `split`, whole: "
            "slices such as train[:10%] are for data sets of the Hub"
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
    """Whether a column holds lists of `{start, end, label}`."""
    inner = _innermost(feature)
    return inner is not feature and isinstance(inner, Mapping) and {"start", "end", "label"} <= {*inner}


def _plain_columns(datasets: ModuleType, features: Mapping[str, Any], columns: Mapping[str, str]) -> list[str]:
    """The columns besides that metadata can hold: strings, numbers and booleans; no images, no dates."""
    kinds = ("string", "large_string", "bool", "int", "uint", "float")
    return [
        name
        for name, feature in features.items()
        if name not in columns.values() and isinstance(feature, datasets.Value) and feature.dtype.startswith(kinds)
    ]


def _label_names(
    features: Mapping[str, Any], columns: Mapping[str, str], *, given: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    """The names behind the integers, by field: those that are given, or else those of the data set's `ClassLabel`."""
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
    """The feature of the elements of a list, or the feature itself; a list of one mapping is a list, too."""
    if isinstance(feature, list) and len(feature) == 1:
        return feature[0]
    return getattr(feature, "feature", feature)
