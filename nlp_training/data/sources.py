"""Data sources in a configuration, and how to load their Documents."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import isclose
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from nlp_inference.document import Document
from nlp_inference.registry import explain
from nlp_training.data.columns import Columns
from nlp_training.data.dataset_rows import Rows, read_rows
from nlp_training.data.errors import InvalidDataError, OnError
from nlp_training.data.formats import Format, format_names, format_of_suffix, named_format
from nlp_training.data.formats.base import ReadOptions
from nlp_training.data.formats.guess import format_hint, guess_format
from nlp_training.data.hub_commits import is_commit
from nlp_training.data.notes import OnNote
from nlp_training.data.synthetic_pii import Split, generate_documents

MIX_WEIGHT = "mix_weight"
"""The metadata key of the sampling weight of a document of a mix."""

_HUB_URL = "hf://datasets/"
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


class SyntheticPii(BaseModel):
    """Generated documents; see `nlp_training.data.synthetic_pii`.

    Args:
        split: `train` or `test`.
        size: the number of documents.
        seed: the seed of the generator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: Split
    size: PositiveInt
    seed: NonNegativeInt = 0


class DataSource(BaseModel):
    """A source of documents: a file, a data set on the Hub, or the generator of synthetic PII.

    A string is equivalent to a mapping with only `path`.

    Args:
        path: a local file or folder, or the id of a data set on the Hub.
        format: the format of a local file or folder, one of `nlp_training.data.formats.FORMATS`. Default: the format of
            its suffix.
        name: the configuration name of the data set on the Hub.
        split: the split of the data set, such as `train` or `train[:10%]`.
        revision: the commit, branch or tag of the data set. A run records the commit that it names at the start.
        columns: the column of each field, if they do not have the default names.
        label_names: the names of integer labels and tags, if the data set does not define them.
        synthetic_pii: generated documents, instead of `path`.
        delimiter: the delimiter of a CSV file, such as `;`. Default: a comma, or a tab for TSV.
        encoding: the encoding of a CSV or CoNLL file, such as `cp1252`. Default: UTF-8.
        blank_labels: `skip` skips records whose label is null, blank or a negative integer, and counts them; `error`
            reads them, and a run raises an error because they have no gold.
        streaming: whether training reads the documents while it runs, so they need not fit into memory; only for
            `data.train`.
        mix: several sources, instead of `path`, such as data sets with gold for different heads. Each may have a
            `share`: of the documents of an epoch, which has as many as there are. Without shares, each document is
            used once.

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
    mix: list["MixedSource"] = []

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        return {"path": str(value)} if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if [self.path is None, self.synthetic_pii is None, not self.mix].count(False) != 1:
            raise ValueError("set either path, synthetic_pii or mix")
        set_fields = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        others = sorted(set_fields - {"synthetic_pii", "streaming", "share"})
        if self.synthetic_pii is not None and others:
            raise ValueError(f"{', '.join(others)}: not allowed with synthetic_pii; remove the keys")
        if self.mix and (others := sorted(set_fields - {"mix"})):
            raise ValueError(f"{', '.join(others)}: not allowed with mix; set them for each of its sources")
        _check_mix(self.mix)
        if self.format is not None:
            named_format(self.format)
        return self

    @property
    def hub_id(self) -> str | None:
        """The id of a data set on the Hub; `None` for generated documents, local files and folders, and file names.

        Example:
            >>> [DataSource(path=path).hub_id for path in ("org/set", "hf://datasets/org/set", "missing.csv", "tests")]
            ['org/set', 'org/set', None, None]
        """
        path = Path(self.path or "")
        names_file = self.format is not None or path.suffix.lower() == ".json" or format_of_suffix(path) is not None
        if self.path is None or names_file or path.exists():
            return None
        hub_id = self.path.removeprefix(_HUB_URL)
        return hub_id if _HUB_ID.fullmatch(hub_id) else None

    @property
    def commit(self) -> str | None:
        """The commit of a data set on the Hub, if `revision` is a commit."""
        return self.revision if self.hub_id is not None and is_commit(self.revision) else None


class MixedSource(DataSource):
    """A source in a mix.

    Args:
        share: the share of the documents of an epoch that are drawn from this source.
    """

    share: float | None = Field(default=None, gt=0, lt=1)


def _check_mix(mix: Sequence[MixedSource]) -> None:
    """Refuse nested and streamed sources, and shares of some sources only or with another sum than 1."""
    if any(one.mix or one.streaming for one in mix):
        raise ValueError("a source of a mix is itself a mix, or streamed; list files and data sets that fit in memory")
    shares = [one.share for one in mix if one.share is not None]
    if shares and (len(shares) != len(mix) or not isclose(sum(shares), 1, abs_tol=1e-6)):
        raise ValueError(
            f"the shares of mix are {shares!r} for {len(mix)} sources; give each one a share, with the sum 1"
        )


DataSource.model_rebuild()


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
        source: a `DataSource`, or its form in a configuration.
        default_split: the split of a Hub data set, if the source names none.
        cache_dir: the cache folder of `datasets`. Default: its standard cache.
        on_error: receives the error of an invalid record, which is skipped; without it, the first error is raised.
        on_note: receives a sentence on what was skipped: records with blank labels, and annotations of kinds that the
            reader does not support. Without it, the sentence is a warning.

    Warns:
        DataWarning: something was skipped, and there is no `on_note`.

    Raises:
        InvalidDocumentError: a record is not a valid Document; the message names the file and the line.
        InvalidDataError: the source cannot be read or lacks a named column.
        MissingExtraError: the source needs `datasets` or `faker`, which is not installed.

    Example:
        >>> len(load_documents({"synthetic_pii": {"split": "train", "size": 3}}))
        3
    """
    source = as_source(source)
    if source.mix:
        read = partial(
            load_documents, default_split=default_split, cache_dir=cache_dir, on_error=on_error, on_note=on_note
        )
        return mixed_documents([read(one) for one in source.mix], [one.share for one in source.mix])
    options = _options(source, on_error)
    documents = list(_read(source, options, default_split=default_split, cache_dir=cache_dir, streaming=False))
    options.notes.tell(source.path or "", on_note)
    return documents


def mixed_documents(parts: Sequence[Sequence[Document]], shares: Sequence[float | None]) -> list[Document]:
    """Return the documents of several sources, with their sampling weight in the metadata if they have shares.

    An id that occurs in several sources gets the number of its source.

    Example:
        >>> one, other = Document(id="0", raw_text="Ana"), Document(id="0", raw_text="Bo")
        >>> [(one.id, one.metadata) for one in mixed_documents([[one], [other]], [0.25, 0.75])]
        [('0', {'mix_weight': 0.25}), ('1/0', {'mix_weight': 0.75})]
    """
    found: list[Document] = []
    ids: set[str | None] = set()
    for number, (documents, share) in enumerate(zip(parts, shares, strict=True)):
        earlier = frozenset(ids)
        for document in documents:
            update: dict[str, Any] = {}
            if share is not None:
                update["metadata"] = {**document.metadata, MIX_WEIGHT: share / len(documents)}
            if document.id is not None and document.id in earlier:
                update["id"] = f"{number}/{document.id}"
            found.append(document.model_copy(update=update) if update else document)
            ids.add(document.id)
    return found


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
    """Read the documents of a source one by one, like `load_documents`, without keeping all of them in memory.

    DocBins of spaCy, Label Studio's JSON, other `.json` files, CSV files on the Hub and slices of a split are loaded
    completely into memory or into the cache of `datasets`; everything else is read in parts.

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
    """Return the source of its form in a configuration.

    Raises:
        InvalidDataError: it is not a valid data source.
    """
    try:
        return DataSource.model_validate(given)
    except ValidationError as error:
        raise InvalidDataError(f"{given!r} is not a data source: {explain(error, DataSource)}") from error


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
    is_json = named is None and source.format is None and path.suffix.lower() == ".json"
    if (named is not None or is_json) and not path.exists():
        raise InvalidDataError(
            f"the file {str(path)!r} does not exist in {str(Path.cwd())!r}; check data in the configuration"
        )
    if named is None and not is_json and path.is_file():
        raise InvalidDataError(
            f"the suffix of {str(path)!r} does not determine its format; {format_hint(path)}set the format, as in "
            f"{{path: {path}, format: conll}}. Known: {', '.join(format_names())}"
        )
    if named is not None and named.rows is None:
        _check_choices(source, _CHOICES - named.takes, f"the format {named.name!r}")
        yield from named.read(path, options)
        return
    loader = "json" if is_json else None if named is None else named.rows
    _check_choices(source, frozenset({"delimiter", "encoding"}), "files that the library datasets loads")
    yield from _read_dataset(loader, source, options, default_split, cache_dir, streaming=streaming)


_CHOICES = frozenset({"name", "split", "revision", "columns", "label_names", "delimiter", "encoding", "blank_labels"})


def _format(source: DataSource, path: Path) -> Format | None:
    """Return the configured format, the format of unambiguous content, or the format of the suffix."""
    if source.format is not None:
        return named_format(source.format)
    guessed = None if source.columns != Columns() else guess_format(path)
    return format_of_suffix(path) if guessed is None else named_format(guessed)


def _check_choices(source: DataSource, choices: frozenset[str], what: str) -> None:
    unfit = sorted(key for key in choices if getattr(source, key) != type(source).model_fields[key].default)
    if unfit:
        raise InvalidDataError(f"{source.path}: {', '.join(unfit)} cannot be used with {what}; remove it")


def _read_dataset(
    loader: str | None,
    source: DataSource,
    options_of_reading: ReadOptions,
    default_split: str,
    cache_dir: str | Path | None,
    *,
    streaming: bool,
) -> Iterator[Document]:
    """Read a file that `datasets` loads, or a data set on the Hub if `loader` is `None`."""
    path = str(source.path)
    options: dict[str, Any]
    if loader is not None:
        where, options = path, {"data_files": {"train": path}, "split": source.split or "train"}
    else:
        split = source.split or default_split
        where, options = f"{path} [{split}]", {"name": source.name, "revision": source.revision, "split": split}
    request = Rows(
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
        request, on_error=reading.on_error, notes=reading.notes, skip_blank=reading.skip_blank_labels
    ):
        if loader is None and document.id is not None and not document.id.startswith(f"{where} row "):
            # Ids of Hub data sets start from 0 in each split; the split makes them unique in the data set.
            yield document.model_copy(update={"id": f"{options['split']}/{document.id}"})
        else:
            yield document
