"""Resumption of an output: its provenance is saved next to it, and its records are compared with the source.

Every item of a source gives exactly one record, a `FailedDocument` if it fails, in the order of the source. The number
of complete records is therefore the position at which to resume. Until the output is complete, its provenance is in
`OUTPUT.progress.json`, which is then removed.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.document.inputs import Item, item_name, writable
from nlp_inference.errors import OutputError
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.provenance import Provenance
from nlp_inference.files.writing import LinesFile, ResultFile

_SUFFIX = ".progress.json"


def progress_file(output: Path) -> Path:
    """Return the path of the provenance of an output; the file exists until the output is complete.

    Example:
        >>> progress_file(Path("out.jsonl")).name
        'out.jsonl.progress.json'
    """
    return output.with_name(output.name + _SUFFIX)


@contextmanager
def locked_output(output: Path) -> Iterator[None]:
    """Hold the lock `OUTPUT.lock` of an output, so that no other process writes it at the same time.

    A device or a pipe needs no lock. Acquire the lock before reading or removing any part of the output.

    Args:
        output: a file, or for parquet a folder.

    Raises:
        OutputLockedError: another process writes the output; the message names that process.
        OSError: the lock file cannot be created.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder, locked_output(Path(folder) / "out.jsonl"):
        ...     print([path.name for path in Path(folder).iterdir()])
        ['out.jsonl.lock']
    """
    path = output.resolve()
    if path.exists() and not (path.is_file() or path.is_dir()):
        yield
        return
    with exclusive_lock(path.with_name(f"{path.name}.lock"), purpose=f"predicting {path.name}"):
        yield


@contextmanager
def writing_file(output: Path, *, provenance: Provenance, resume: bool) -> Iterator[ResultFile]:
    """Open an output, to replace or to resume it. After an error, all records in it are complete.

    Args:
        output: a file, or for parquet a folder.
        provenance: the model and settings that predict the output.
        resume: whether to resume an existing output; if there is none, a new one is started.

    Raises:
        OutputError: the existing output has another provenance, is complete, or cannot be written.
    """
    if output.exists() and not (output.is_file() or output.is_dir()):  # a device or a pipe has no state to resume
        with _closing(_open(output, provenance)) as file:
            yield file
        return
    progress = progress_file(output)
    if resume and output.exists():
        _require_same(output, progress, provenance)
    else:
        _remove(output)
        _write_progress(progress, provenance)
    with _closing(_open(output, provenance)) as file:
        yield file
    progress.unlink()


def checked_against(items: Iterable[Item], records: Iterable[Mapping[str, Any]], *, output: str) -> Iterator[Item]:
    """Yield the items of a source after comparing them with the existing records of the output.

    Args:
        items: the items of the source, from its beginning.
        records: the records of the output, from its beginning.
        output: the name of the output, for the message.

    Raises:
        OutputError: a record has another id or text than its item, or there are more records than items.
    """
    source, number = iter(items), 0
    for number, record in enumerate(records, 1):
        item = next(source, None)
        if item is None:
            raise OutputError(
                f"{output!r} has more records than the source, which has {number - 1} items: it was started with "
                "another source; pass that source, or --overwrite"
            )
        _compare(item, record, number=number - 1, output=output)
        yield item
    yield from source


def _compare(item: Item, record: Mapping[str, Any], *, number: int, output: str) -> None:
    expected, found = writable(item_name(item, str(number))), record.get("id")
    if found == expected and (record.get("error") is not None or record.get("raw_text") == _text(item)):
        return
    what = f"the id {found!r}, but the source {expected!r}" if found != expected else "another text than the source"
    raise OutputError(
        f"record {number + 1} of {output!r} has {what}: it was started with another source; pass that source, by the "
        "same path, or --overwrite"
    )


def _text(item: Item) -> Any:
    if isinstance(item, Mapping):
        return item.get("raw_text")
    return getattr(item, "raw_text", item)


def _open(output: Path, provenance: Provenance) -> ResultFile:
    if provenance.output_format is not FileFormat.PARQUET:
        return LinesFile(output, file_format=provenance.output_format, offsets=provenance.offsets)
    from nlp_inference.files.parquet import PartsFolder

    return PartsFolder(output, offsets=provenance.offsets)


@contextmanager
def _closing(file: ResultFile) -> Iterator[ResultFile]:
    """Close the file, also after an error. All predictions are written, unless writing itself failed."""
    try:
        yield file
    except OutputError:
        file.close(failed=True)
        raise
    except BaseException:
        file.close(failed=False)
        raise
    file.close(failed=False)


def _require_same(output: Path, progress: Path, provenance: Provenance) -> None:
    try:
        saved = Provenance.model_validate_json(progress.read_bytes())
    except FileNotFoundError as error:
        raise OutputError(
            f"{str(output)!r} has no {progress.name}: it is complete, or was not written by this command; to start "
            "again, pass --overwrite"
        ) from error
    except ValidationError as error:
        raise OutputError(f"{str(progress)!r} is damaged; start again with --overwrite") from error
    old, new = saved.model_dump(mode="json"), provenance.model_dump(mode="json")
    changed = [f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new[name]]
    if changed:
        raise OutputError(
            f"{str(output)!r} was started with other settings: {', '.join(changed)}; resume it with the original "
            "settings, or start again with --overwrite"
        )


def _remove(output: Path) -> None:
    """Remove an existing output before its new progress file is written, so that a kill cannot leave both."""
    if output.is_dir():
        from nlp_inference.files.parquet import prediction_files

        for part in prediction_files(output):
            part.unlink()
    else:
        output.unlink(missing_ok=True)


def _write_progress(progress: Path, provenance: Provenance) -> None:
    try:
        write_atomically(progress, provenance.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{str(progress)!r} cannot be written: {error.strerror}") from error
