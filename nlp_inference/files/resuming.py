"""An output that can be gone on with: what began it is written beside it, and what it holds is held against the source.

Every item of a source gives exactly one record, a `FailedDocument` if it fails, in the order of the source. So the
number of whole records says where to go on. While the output grows, `OUTPUT.progress.json` says what predicts it; when
it is complete that file is removed.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nlp_inference._utils.atomic_files import write_whole
from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.document.inputs import Item, item_name, writable
from nlp_inference.errors import OutputError
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.provenance import Provenance
from nlp_inference.files.writing import LinesFile, ResultFile

_SUFFIX = ".progress.json"


def progress_file(output: Path) -> Path:
    """Where it is told what predicts an output; if it is there, the output is not complete.

    Example:
        >>> progress_file(Path("out.jsonl")).name
        'out.jsonl.progress.json'
    """
    return output.with_name(output.name + _SUFFIX)


@contextmanager
def locked_output(output: Path) -> Iterator[None]:
    """Hold the lock of an output, `OUTPUT.lock` beside it, so that no other process writes it meanwhile.

    A device or a pipe needs none. Take it before anything about the output is read or removed.

    Args:
        output: a file, or for parquet a folder.

    Raises:
        OutputLockedError: another process writes it; the message names that process.
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
    """Open an output, in place of what is there or to go on with it. After an error everything in it is whole.

    Args:
        output: a file, or for parquet a folder.
        provenance: what is about to predict.
        resume: whether to go on; an output that is not there is begun.

    Raises:
        OutputError: what is there was begun with something else, is complete, or cannot be written.
    """
    if output.exists() and not (output.is_file() or output.is_dir()):  # a device or a pipe: nothing stays there
        with _closing(_open(output, provenance.output_format)) as file:
            yield file
        return
    note = progress_file(output)
    if resume and output.exists():
        _require_same(output, note, provenance)
    else:
        _remove(output)
        _note_down(note, provenance)
    with _closing(_open(output, provenance.output_format)) as file:
        yield file
    note.unlink()


def held_against(items: Iterable[Item], records: Iterable[Mapping[str, Any]], *, output: str) -> Iterator[Item]:
    """The items, the first of which are compared with the records that an output has of them.

    Args:
        items: of the source, from its beginning.
        records: of the output, from its beginning.
        output: its name, for the message.

    Raises:
        OutputError: a record has another id or another text than its item, or there are more of them than items.
    """
    source, number = iter(items), 0
    for number, record in enumerate(records, 1):
        item = next(source, None)
        if item is None:
            raise OutputError(
                f"{output!r} holds more records than the source items, which are {number - 1}: it was begun with "
                "another source; give that one, or --overwrite"
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
        f"record {number + 1} of {output!r} has {what}: it was begun with another source; give that one, by the same "
        "path, or --overwrite"
    )


def _text(item: Item) -> Any:
    if isinstance(item, Mapping):
        return item.get("raw_text")
    return getattr(item, "raw_text", item)


def _open(output: Path, file_format: FileFormat) -> ResultFile:
    if file_format is not FileFormat.PARQUET:
        return LinesFile(output, file_format=file_format)
    from nlp_inference.files.parquet import PartsFolder

    return PartsFolder(output)


@contextmanager
def _closing(file: ResultFile) -> Iterator[ResultFile]:
    """Close the file, also after an error: what was predicted before is written, but for an error of writing itself."""
    try:
        yield file
    except OutputError:
        file.close(failed=True)
        raise
    except BaseException:
        file.close(failed=False)
        raise
    file.close(failed=False)


def _require_same(output: Path, note: Path, provenance: Provenance) -> None:
    try:
        begun = Provenance.model_validate_json(note.read_bytes())
    except FileNotFoundError as error:
        raise OutputError(
            f"beside {str(output)!r} is no {note.name}: it is complete, or was not written by this command; to predict "
            "it anew give --overwrite"
        ) from error
    except ValidationError as error:
        raise OutputError(f"{str(note)!r} is damaged; predict anew with --overwrite") from error
    old, new = begun.model_dump(mode="json"), provenance.model_dump(mode="json")
    changed = [f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new[name]]
    if changed:
        raise OutputError(
            f"{str(output)!r} was begun with something else: {', '.join(changed)}; go on with what it was begun with, "
            "or predict anew with --overwrite"
        )


def _remove(output: Path) -> None:
    """Take away what is replaced, first of all: a kill must not leave it beside the progress of another model."""
    if output.is_dir():
        from nlp_inference.files.parquet import own_files

        for part in own_files(output):
            part.unlink()
    else:
        output.unlink(missing_ok=True)


def _note_down(note: Path, provenance: Provenance) -> None:
    try:
        write_whole(note, provenance.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{str(note)!r} cannot be written: {error.strerror}") from error
