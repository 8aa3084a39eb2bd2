"""What stands for data in a configuration, and the Documents that it means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError, model_validator

from nlp_inference._optional import require
from nlp_inference.document import Document
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.registry import explain
from nlp_training.data.errors import InvalidDataError
from nlp_training.data.readers import OnError, read_jsonl
from nlp_training.data.records import Columns, record_to_document
from nlp_training.data.synthetic_pii import Split, generate_documents

_LOADERS = {".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


class SyntheticPii(BaseModel):
    """A number of made-up documents; see `nlp_training.data.synthetic_pii`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Split
    size: PositiveInt
    seed: NonNegativeInt = 0


class DataSource(BaseModel):
    """Where documents come from: a file, a data set of the Hub, or the generator of made-up PII.

    A string stands for `path` alone.

    Args:
        path: a local `.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet` file, or the id of a data set on the Hub.
        name: configuration of the data set.
        split: split of the data set, such as `train` or `train[:10%]`.
        revision: commit, branch or tag of the data set.
        columns: which column holds what, where the usual names do not fit.
        label_names: what integer labels and tags stand for, where the data set does not say.
        synthetic_pii: made-up documents, in place of a path.

    Example:
        >>> DataSource.model_validate("data/train.jsonl").path
        'data/train.jsonl'
        >>> DataSource.model_validate({"synthetic_pii": {"split": "test", "size": 9}}).synthetic_pii.seed
        0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None = None
    name: str | None = None
    split: str | None = None
    revision: str | None = None
    columns: Columns = Columns()
    label_names: tuple[str, ...] | None = None
    synthetic_pii: SyntheticPii | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": str(value)} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if (self.path is None) == (self.synthetic_pii is None):
            raise ValueError("give either a path or synthetic_pii")
        set_fields = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        others = sorted(set_fields - {"synthetic_pii"})
        if self.synthetic_pii is not None and others:
            raise ValueError(f"{', '.join(others)}: not for synthetic_pii")
        return self


def load_documents(
    source: DataSource | str | Path | Mapping[str, Any],
    *,
    default_split: str = "train",
    cache_dir: str | Path | None = None,
    on_error: OnError | None = None,
) -> list[Document]:
    """Read all documents of a source.

    Args:
        source: a `DataSource`, or what a configuration holds in its place.
        default_split: the split of a Hub data set, if the source names none.
        cache_dir: where `datasets` keeps what it loaded. Default: its own cache.
        on_error: is told of a record that describes no Document, which is left out; without it, the first one is
            raised.

    Raises:
        InvalidDocumentError: a record does not describe a Document; names the file and the line.
        InvalidDataError: the source cannot be read or has not the columns that are named.
        MissingExtraError: the source needs `datasets` or `faker`, which is not installed.

    Example:
        >>> len(load_documents({"synthetic_pii": {"split": "train", "size": 3}}))
        3
    """
    source = _as_source(source)
    if source.synthetic_pii is not None:
        made = source.synthetic_pii
        return list(generate_documents(split=made.split, size=made.size, seed=made.seed))
    path = Path(source.path or "")
    is_file = path.suffix in {".jsonl", *_LOADERS}
    if is_file and not path.is_file():
        raise InvalidDataError(
            f"there is no file {str(path)!r} in {str(Path.cwd())!r}; check data in the configuration"
        )
    if path.suffix == ".jsonl":
        return _load_jsonl(path, source, on_error)
    if is_file:
        options: dict[str, Any] = {"data_files": {"train": str(path)}, "split": source.split or "train"}
        if path.suffix == ".tsv":
            options["sep"] = "\t"
        return _load_dataset(_LOADERS[path.suffix], source, options, cache_dir, on_error)
    options = {"name": source.name, "revision": source.revision, "split": source.split or default_split}
    return _load_dataset(str(source.path), source, options, cache_dir, on_error)


def _as_source(given: DataSource | str | Path | Mapping[str, Any]) -> DataSource:
    try:
        return DataSource.model_validate(given)
    except ValidationError as error:
        raise InvalidDataError(f"{given!r} is no data source: {explain(error, DataSource)}") from error


def _load_jsonl(path: Path, source: DataSource, on_error: OnError | None) -> list[Document]:
    unfit = [key for key in ("name", "split", "revision", "label_names") if getattr(source, key) is not None]
    if unfit:
        raise InvalidDataError(f"{path}: {', '.join(unfit)} is not for a .jsonl file; leave it out")
    return list(read_jsonl(path, columns=source.columns, on_error=on_error))


def _load_dataset(
    loader: str,
    source: DataSource,
    options: dict[str, Any],
    cache_dir: str | Path | None,
    on_error: OnError | None,
) -> list[Document]:
    datasets = require("datasets", extra="train")
    where = str(source.path) if "data_files" in options else f"{source.path} [{options['split']}]"
    try:
        rows = datasets.load_dataset(loader, cache_dir=None if cache_dir is None else str(cache_dir), **options)
    except Exception as error:  # datasets raises anything, from OSError to TypeError
        raise InvalidDataError(
            f"{where} cannot be loaded: {type(error).__name__}: {error}. Check the path or the id, the name and the "
            "split; where the Hub cannot be reached, give a local file, as in data.train=train.jsonl"
        ) from error
    try:
        columns = source.columns.resolve(rows.column_names)
    except InvalidDocumentError as error:
        raise InvalidDataError(f"{where}: {error}") from error
    rows = rows.select_columns([*columns.values(), *_plain_columns(datasets, rows.features, columns)])
    names = _label_names(rows.features, columns, given=source.label_names)
    read = (
        _row_to_document(row, columns=columns, names=names, where=f"{where} row {number}", on_error=on_error)
        for number, row in enumerate(rows, start=1)
    )
    documents = [document for document in read if document is not None]
    if "id" not in columns or "data_files" in options:
        return documents
    # Data sets of the Hub count each split from 0; with the split, an id names one document of the whole set.
    return [document.model_copy(update={"id": f"{options['split']}/{document.id}"}) for document in documents]


def _row_to_document(
    row: Mapping[str, Any],
    *,
    columns: Mapping[str, str],
    names: Mapping[str, Sequence[str]],
    where: str,
    on_error: OnError | None,
) -> Document | None:
    try:
        return record_to_document(row, columns=columns, read_from=where, names=names)
    except InvalidDocumentError as error:
        told = InvalidDocumentError(f"{where}: {error}")
        if on_error is None:
            raise told from error
        on_error(told)
        return None


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
