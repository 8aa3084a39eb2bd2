"""The last evaluation leaves its predictions: each document once, in order, whatever the number of processes."""

from io import StringIO
from pathlib import Path

import pytest
from made_up_runs import SECONDS, keep, predicted, spans
from rich.console import Console

from nlp_inference import Document, Predictor
from nlp_training import RunConfig, load_documents, train
from nlp_training.data.errors import InvalidDataError
from nlp_training.evaluation.prediction_files import (
    PREDICTIONS,
    PredictionFile,
    forget_predictions,
    kept_predictions,
    read_predictions,
)


def documents(size: int) -> list[Document]:
    return [
        predicted(f"Ana\n{index} \u2028<é>", spans((0, 3, "PERSON")), spans((0, 2, "CITY", 0.5)), f"d-{index}")
        for index in range(size)
    ]


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 6, 7])
def test_the_shares_of_processes_make_one_file_in_order(tmp_path: Path, processes: int, size: int) -> None:
    every = documents(size)
    files = [PredictionFile(tmp_path / PREDICTIONS, "test", process, processes) for process in range(processes)]
    for process, file in enumerate(files):
        keep(file, every[process::processes])
    files[0].merge()
    assert list(read_predictions(files[0])) == [(document, SECONDS) for document in every]
    assert sorted(path.name for path in (tmp_path / PREDICTIONS).iterdir()) == ["test.jsonl", "test.seconds"]


@pytest.mark.parametrize("name", ["test", "../other", "a/b c", ".hidden", "50 %", "日本"])
def test_a_data_set_may_have_any_name_and_its_file_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    file = PredictionFile(tmp_path / PREDICTIONS, name)
    keep(file, documents(2))
    file.merge()
    assert file.documents.parent == tmp_path / PREDICTIONS
    assert [kept.name for kept in kept_predictions(tmp_path)] == [name]
    assert len(list(read_predictions(kept_predictions(tmp_path)[0]))) == 2


def test_what_an_earlier_run_kept_of_other_data_sets_is_removed(tmp_path: Path) -> None:
    for name in ("old", "validation"):
        keep(PredictionFile(tmp_path / PREDICTIONS, name), documents(1))
        PredictionFile(tmp_path / PREDICTIONS, name).merge()
    forget_predictions(tmp_path, but=["validation"])
    assert sorted(path.name for path in (tmp_path / PREDICTIONS).iterdir()) == [
        "validation.jsonl",
        "validation.seconds",
    ]


def test_without_times_the_documents_are_read_all_the_same(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path / PREDICTIONS, "test")
    keep(file, documents(2))
    file.merge()
    file.seconds.unlink()
    assert list(read_predictions(file)) == [(document, None) for document in documents(2)]


@pytest.mark.parametrize(
    "damage",
    [lambda line: line[:20] + b"\n", lambda _: b'{"raw_text": 7}\n', lambda _: b"\xff\n", lambda _: b"[]\n"],
    ids=["cut off", "no Document", "no UTF-8", "no object"],
)
def test_a_damaged_line_is_named(tmp_path: Path, damage: object) -> None:
    file = PredictionFile(tmp_path / PREDICTIONS, "test")
    keep(file, documents(3))
    file.merge()
    lines = file.documents.read_bytes().splitlines(keepends=True)
    file.documents.write_bytes(lines[0] + damage(lines[1]) + lines[2])  # type: ignore[operator]
    with pytest.raises(InvalidDataError, match=r"test\.jsonl:2: "):
        list(read_predictions(file))


def test_a_run_keeps_what_it_scored_and_production_predicts(span_run: RunConfig) -> None:
    result = train(span_run, console=Console(file=StringIO()))
    files = {file.name: file for file in kept_predictions(span_run.folder)}
    assert list(files) == ["test", "validation"]
    kept = list(read_predictions(files["test"]))
    gold = load_documents(span_run.data.test["test"])
    fresh = Predictor.from_pretrained(result.model).predict([document.unannotated() for document in gold])
    assert [document for document, _ in kept] == [
        one.model_copy(update={"gold": document.gold}) for one, document in zip(fresh, gold, strict=True)
    ]
    assert all(seconds is not None and 0 < seconds < 60 for _, seconds in kept)
