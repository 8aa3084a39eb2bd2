"""A file is there with all that is in it, or not at all, also if others write it at the same time."""

import threading
from pathlib import Path

import pytest

from nlp_inference._utils.atomic_files import write_atomically


def test_nobody_reads_half_of_a_file_that_several_write(tmp_path: Path) -> None:
    path, texts = tmp_path / "shared.json", [letter * 100_000 for letter in "abcd"]
    failures: list[Exception] = []

    def write(text: str) -> None:
        try:
            for _ in range(40):
                write_atomically(path, text, shared=True)
        except Exception as error:  # noqa: BLE001 - a thread keeps its errors for itself
            failures.append(error)

    write_atomically(path, texts[0], shared=True)
    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    read = set()
    while any(writer.is_alive() for writer in writers):
        read.add(path.read_text(encoding="utf-8"))
    assert failures == []
    assert read <= set(texts)
    assert [one.name for one in tmp_path.iterdir()] == ["shared.json"]


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text(encoding="utf-8") == "before"
