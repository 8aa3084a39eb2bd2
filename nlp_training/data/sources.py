"""What stands for data in a configuration, and the Documents that it means."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError, model_validator

from nlp_inference.document import Document
from nlp_inference.registry import explain
from nlp_training.data.dataset_rows import Rows, read_rows
from nlp_training.data.errors import InvalidDataError, OnError
from nlp_training.data.formats import Format, format_names, format_of_suffix, named_format
from nlp_training.data.formats.base import ReadOptions
from nlp_training.data.formats.guess import format_hint, guess_format
from nlp_training.data.hub_commits import is_commit
from nlp_training.data.notes import OnNote
from nlp_training.data.records import Columns
from nlp_training.data.synthetic_pii import Split, generate_documents

_HUB_URL = "hf://datasets/"
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


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
        path: a local file or folder, or the id of a data set on the Hub.
        format: of a local file or folder, one of `nlp_training.data.formats.FORMATS`. Default: that of its suffix.
        name: configuration of the data set.
        split: split of the data set, such as `train` or `train[:10%]`.
        revision: commit, branch or tag of the data set. Where a run begins, it becomes the commit that it names then.
        columns: which column holds what, where the usual names do not fit.
        label_names: what integer labels and tags stand for, where the data set does not say.
        synthetic_pii: made-up documents, in place of a path.
        delimiter: between the cells of a CSV file, such as `;`. Default: a comma, or a tab for TSV.
        encoding: of a CSV or CoNLL file, such as `cp1252`. Default: UTF-8.
        blank_labels: `skip` leaves out records whose label is null or blank, and counts them; `error` reads them, and a
            run refuses them since they have no gold.
        streaming: whether training reads them as it goes, so that they need not fit into memory; for `data.train` only.

    Example:
        >>> DataSource.model_validate("data/train.jsonl").path
        'data/train.jsonl'
        >>> DataSource.model_validate({"synthetic_pii": {"split": "test", "size": 9}}).synthetic_pii.seed
        0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None = None
    format: str | None = None
    name: str | None = None
    split: str | None = None
    revision: str | None = None
    columns: Columns = Columns()
    label_names: tuple[str, ...] | None = None
    synthetic_pii: SyntheticPii | None = None
    delimiter: str | None = None
    encoding: str | None = None
    blank_labels: Literal["error", "skip"] = "error"
    streaming: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": str(value)} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if (self.path is None) == (self.synthetic_pii is None):
            raise ValueError("give either a path or synthetic_pii")
        set_fields = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        others = sorted(set_fields - {"synthetic_pii", "streaming"})
        if self.synthetic_pii is not None and others:
            raise ValueError(f"{', '.join(others)}: not for synthetic_pii")
        if self.format is not None:
            named_format(self.format)
        return self

    @property
    def hub_id(self) -> str | None:
        """The id of a data set of the Hub; `None` of what is made up, a file or a folder here, or the name of a file.

        Example:
            >>> [DataSource(path=path).hub_id for path in ("org/set", "hf://datasets/org/set", "missing.csv", "tests")]
            ['org/set', 'org/set', None, None]
        """
        path = Path(self.path or "")
        names_file = self.format is not None or path.suffix == ".json" or format_of_suffix(path) is not None
        if self.path is None or names_file or path.exists():
            return None
        hub_id = self.path.removeprefix(_HUB_URL)
        return hub_id if _HUB_ID.fullmatch(hub_id) else None

    @property
    def commit(self) -> str | None:
        """The commit of a data set of the Hub, if `revision` is one."""
        return self.revision if self.hub_id is not None and is_commit(self.revision) else None


def load_documents(
    source: DataSource | str | Path | Mapping[str, Any],
    *,
    default_split: str = "train",
    cache_dir: str | Path | None = None,
    on_error: OnError | None = None,
    on_note: OnNote | None = None,
) -> list[Document]:
    """Read all documents of a source.

    Args:
        source: a `DataSource`, or what a configuration holds in its place.
        default_split: the split of a Hub data set, if the source names none.
        cache_dir: where `datasets` keeps what it loaded. Default: its own cache.
        on_error: is told of a record that describes no Document, which is left out; without it, the first one is
            raised.
        on_note: receives a sentence on what was left out: records that `blank_labels` skips, and annotations of kinds
            that the format does not carry; without it, it is a warning.

    Warns:
        DataWarning: something was left out, and there is no `on_note`.

    Raises:
        InvalidDocumentError: a record does not describe a Document; names the file and the line.
        InvalidDataError: the source cannot be read or has not the columns that are named.
        MissingExtraError: the source needs `datasets` or `faker`, which is not installed.

    Example:
        >>> len(load_documents({"synthetic_pii": {"split": "train", "size": 3}}))
        3
    """
    source = as_source(source)
    options = _options(source, on_error)
    documents = list(_read(source, options, default_split=default_split, cache_dir=cache_dir, streaming=False))
    options.notes.tell(source.path or "", on_note)
    return documents


def _options(source: DataSource, on_error: OnError | None) -> ReadOptions:
    return ReadOptions(
        source.columns,
        source.label_names,
        on_error,
        delimiter=source.delimiter,
        encoding=source.encoding,
        skip_blank_labels=source.blank_labels == "skip",
    )


def stream_documents(
    source: DataSource | str | Path | Mapping[str, Any],
    *,
    default_split: str = "train",
    on_error: OnError | None = None,
) -> Iterator[Document]:
    """Read the documents of a source one after the other, as `load_documents` does, without holding all of them.

    DocBins of spaCy, Label Studio's JSON, other `.json` files, CSV files of the Hub and slices of a split are in memory
    or in the cache of `datasets` as a whole, everything else a part at a time.

    Example:
        >>> stream = stream_documents({"synthetic_pii": {"split": "train", "size": 3}})
        >>> next(stream).id
        'train-0-0'
    """
    source = as_source(source)
    streaming = "[" not in (source.split or "")
    options = _options(source, on_error)
    yield from _read(source, options, default_split=default_split, cache_dir=None, streaming=streaming)
    options.notes.tell(source.path or "", None)


def as_source(given: DataSource | str | Path | Mapping[str, Any]) -> DataSource:
    """The source that a configuration means.

    Raises:
        InvalidDataError: it cannot be read as one.
    """
    try:
        return DataSource.model_validate(given)
    except ValidationError as error:
        raise InvalidDataError(f"{given!r} is no data source: {explain(error, DataSource)}") from error


def _read(
    source: DataSource,
    options: ReadOptions,
    *,
    default_split: str,
    cache_dir: str | Path | None,
    streaming: bool,
) -> Iterator[Document]:
    if source.synthetic_pii is not None:
        made = source.synthetic_pii
        yield from generate_documents(split=made.split, size=made.size, seed=made.seed)
        return
    path = Path(source.path or "")
    named = _format(source, path)
    is_json = named is None and source.format is None and path.suffix == ".json"
    if (named is not None or is_json) and not path.exists():
        raise InvalidDataError(
            f"there is no file {str(path)!r} in {str(Path.cwd())!r}; check data in the configuration"
        )
    if named is None and not is_json and path.is_file():
        raise InvalidDataError(
            f"the format of {str(path)!r} is not known by its suffix; {format_hint(path)}name it, as in "
            f"{{path: {path}, format: conll}}. Known: {', '.join(format_names())}"
        )
    if named is not None and named.rows is None:
        _check_choices(source, _CHOICES - named.takes, f"the format {named.name!r}")
        yield from named.read(path, options)
        return
    loader = "json" if is_json else None if named is None else named.rows
    _check_choices(source, frozenset({"delimiter", "encoding"}), "what the library datasets loads")
    yield from _read_dataset(loader, source, options, default_split, cache_dir, streaming=streaming)


_CHOICES = frozenset({"name", "split", "revision", "columns", "label_names", "delimiter", "encoding", "blank_labels"})


def _format(source: DataSource, path: Path) -> Format | None:
    """The format that is named, that the content certainly has, or that the suffix says."""
    if source.format is not None:
        return named_format(source.format)
    guessed = None if source.columns != Columns() else guess_format(path)
    return format_of_suffix(path) if guessed is None else named_format(guessed)


def _check_choices(source: DataSource, choices: frozenset[str], what: str) -> None:
    unfit = sorted(key for key in choices if getattr(source, key) != type(source).model_fields[key].default)
    if unfit:
        raise InvalidDataError(f"{source.path}: {', '.join(unfit)} is not for {what}; leave it out")


def _read_dataset(
    loader: str | None,
    source: DataSource,
    options_of_reading: ReadOptions,
    default_split: str,
    cache_dir: str | Path | None,
    *,
    streaming: bool,
) -> Iterator[Document]:
    """Rows of a file that `datasets` loads, or of a data set of the Hub, where `loader` is `None`."""
    path = str(source.path)
    options: dict[str, Any]
    if loader is not None:
        where, options = path, {"data_files": {"train": path}, "split": source.split or "train"}
    else:
        split = source.split or default_split
        where, options = f"{path} [{split}]", {"name": source.name, "revision": source.revision, "split": split}
    asked = Rows(
        loader or path,
        where,
        options,
        source.columns,
        source.label_names,
        commit=source.commit,
        cache_dir=cache_dir,
        streaming=streaming,
        split_given=source.split is not None,
    )
    reading = options_of_reading
    for document in read_rows(
        asked, on_error=reading.on_error, notes=reading.notes, skip_blank=reading.skip_blank_labels
    ):
        if loader is None and document.id is not None and not document.id.startswith(f"{where} row "):
            # Data sets of the Hub count each split from 0; with the split, an id names one document of the whole set.
            yield document.model_copy(update={"id": f"{options['split']}/{document.id}"})
        else:
            yield document
