"""Detection of the format of a file or folder by its content, and hints for uncertain cases.

Only the beginning is read. Detection covers content that would otherwise be read in a wrong format, or not at all.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from nlp_inference.errors import InvalidDocumentError
from nlp_inference.files.json_lines import BYTE_ORDER_MARK, parse_json

_BYTES = 1 << 16
_LINES = 200
_FILES = 20
_FEWEST = 2
"""The minimum number of lines of words, or of a word and `-DOCSTART-`, to detect columns."""

_WEBANNO = "#FORMAT=WebAnno TSV 3"
_COLUMNS = (".txt", ".train", ".dev", ".test", ".valid", ".data")
"""The beginnings of suffixes of the original CoNLL files: `eng.train`, `esp.testa`."""

_TAG = re.compile(r"O|[BILUES]-\S+")
_CAS = re.compile(r'"%(TYPES|FEATURE_STRUCTURES|VIEWS)"\s*:')
_PRODIGY = ("_input_hash", "_task_hash", "_is_binary")
_LABEL_STUDIO = ("annotations", "completions", "predictions")


def guess_format(path: Path) -> str | None:
    """Return the name of the format if the content of a file or folder is unambiguous, else `None`.

    Args:
        path: a path, which need not exist.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "eng.train"
        ...     _ = file.write_text("-DOCSTART- -X- O O\\n\\nAna NNP I-NP B-PER\\n")
        ...     print(guess_format(file), guess_format(Path(folder)))
        conll None
    """
    try:
        if path.is_dir():
            return _of_folder(path)
        return _of_file(path) if path.is_file() else None
    except OSError:
        return None


def format_hint(path: Path) -> str:
    """Return a hint for a file of unknown format: empty, or a clause that ends with a semicolon and a space."""
    suffix = path.suffix.lower()
    if suffix in (".ann", ".txt") and (path.with_suffix(".ann").exists() or suffix == ".ann"):
        return f"for brat pass the folder, as in {{path: {path.parent}, format: brat}}; "
    if suffix == ".xmi" or "<xmi:XMI" in _head(path)[:2000]:
        return "XMI is not supported, so export the documents as UIMA CAS JSON, and set the format to uima-cas; "
    if suffix in (".zip", ".gz", ".xlsx", ".xls"):
        return "archives and spreadsheets are not supported, so unpack it, or save it as CSV; "
    return ""


def _of_folder(folder: Path) -> str | None:
    if any(file.with_suffix(".txt").is_file() for file in islice(folder.rglob("*.ann"), _FILES)):
        return "brat"
    if _all(_head(file).startswith(_WEBANNO) for file in islice(folder.rglob("*.tsv"), _FILES)):
        return "webanno-tsv"
    if _all(bool(_CAS.search(_head(file))) for file in islice(folder.rglob("*.json"), _FILES)):
        return "uima-cas"
    return None


def _all(found: Iterable[bool]) -> bool:
    """Return whether there is at least one value, and all are true."""
    seen = list(found)
    return bool(seen) and all(seen)


def _of_file(path: Path) -> str | None:
    head = _head(path)
    if head.startswith(_WEBANNO):
        return "webanno-tsv"
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _of_json(head)
    if suffix in (".jsonl", ".ndjson"):
        return _of_json_lines(head)
    return _of_columns(head.split("\n")[:_LINES]) if suffix.startswith(_COLUMNS) or not suffix else None


def _head(path: Path) -> str:
    """Return the first characters of a file, up to the last complete line if the file is longer."""
    with path.open("rb") as file:
        read = file.read(_BYTES)
    text = read.decode("utf-8", "replace").removeprefix(BYTE_ORDER_MARK).replace("\r\n", "\n")
    return text if len(read) < _BYTES or "\n" not in text else text[: text.rindex("\n")]


def _of_json(head: str) -> str | None:
    if _CAS.search(head):
        return "uima-cas"
    content = head.lstrip()
    if not content.startswith("["):
        return None
    with suppress(ValueError):
        first = json.JSONDecoder().raw_decode(content[1:].lstrip())[0]
        return "label-studio" if _is_task(first) else None
    keys = {
        match[1] for match in re.finditer(r'"(\w+)"\s*:', content)
    }  # the first task is longer than the part that was read
    is_task = "data" in keys and bool(keys & {*_LABEL_STUDIO}) and bool(keys & {"from_name", "to_name", "result"})
    return "label-studio" if is_task else None


def _is_task(record: Any) -> bool:
    return (
        isinstance(record, Mapping)
        and isinstance(record.get("data"), Mapping)
        and any(isinstance(record.get(key), list) for key in _LABEL_STUDIO)
    )


def _of_json_lines(head: str) -> str | None:
    """Detect Prodigy or doccano by their specific keys; doccano only if its offsets are unambiguous."""
    lists = False
    astral = False
    for record in _records(head):
        if not isinstance(record.get("text"), str) or "raw_text" in record:
            return None
        if any(key in record for key in _PRODIGY) or _is_answer(record):
            return "prodigy"
        lists = lists or _is_doccano(record)
        astral = astral or any(character > "\uffff" for character in record["text"])
    return "doccano" if lists and not astral else None


def _records(head: str) -> Iterator[Mapping[str, Any]]:
    for line in head.split("\n")[:_LINES]:
        if line.strip():
            try:
                record = parse_json(line)
            except InvalidDocumentError:
                return
            if isinstance(record, Mapping):
                yield record


def _is_answer(record: Mapping[str, Any]) -> bool:
    return record.get("answer") in ("accept", "reject", "ignore") and bool({*record} & {"spans", "accept", "options"})


def _is_doccano(record: Mapping[str, Any]) -> bool:
    label = record.get("label")
    entities = record.get("entities")
    found = [*(label if isinstance(label, list) else ()), *(entities if isinstance(entities, list) else ())]
    return isinstance(label, list) or any(isinstance(one, Mapping) and "start_offset" in one for one in found)


def _of_columns(lines: list[str]) -> str | None:
    """Detect CoNLL-U by its ten columns, and CoNLL by an equal number of columns with a tag as the last one."""
    words = [line for line in lines if line.strip() and not line.startswith("#")]
    if words and all(len(line.split("\t")) == 10 and line[0].isdigit() for line in words):
        return "conllu"
    rows = [line.split() for line in words if not line.startswith("-DOCSTART-")]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) < 2 or len(words) < _FEWEST:
        return None
    tags = [row[-1] for row in rows]
    return "conll" if all(map(_TAG.fullmatch, tags)) and any(tag != "O" for tag in tags) else None
