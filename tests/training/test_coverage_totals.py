"""Totals of what was read: in every evaluation, in its tables, and in the model card."""

from io import StringIO
from pathlib import Path

import pytest
from fakes import RecordingBackend
from made_up_records import write_jsonl
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Predictor, Processor, TokenClassification
from nlp_training import RunConfig
from nlp_training.artefact.model_card import model_card
from nlp_training.cli import app
from nlp_training.evaluation import evaluate_documents, share_read
from nlp_training.reports.score_tables import coverage_table

TEXTS = ["a b c d e f", "Ana", "Ana \u200b", ""]
"""Eleven characters that need two windows of four tokens, three, five of which two have no token, none."""


def _evaluate(tokenizer, on_overflow: str) -> dict[str, object]:
    windows = {"max_length": 6, "overlap": 0, "on_overflow": on_overflow}
    processor = Processor(tokenizer, TokenClassification(labels=("X",)), windows=windows)
    documents = [Document(raw_text=text, gold=Annotation()) for text in TEXTS]
    return evaluate_documents(Predictor(processor, RecordingBackend(processor)), documents)


@pytest.mark.parametrize(
    ("on_overflow", "expected"),
    [
        ("split", {"read": 17, "windows": 5, "truncated": 0, "incomplete": 1}),
        ("truncate", {"read": 13, "windows": 4, "truncated": 1, "incomplete": 2}),
    ],
)
def test_an_evaluation_counts_what_was_read(tokenizer, on_overflow: str, expected: dict[str, int]) -> None:
    assert _evaluate(tokenizer, on_overflow)["coverage"] == {
        "documents": 4,
        "characters": 19,
        "deleted": 0,
        "unknown": 0,
        **expected,
    }


def test_deleted_characters_are_counted_apart(tokenizer) -> None:
    processor = Processor(tokenizer, TokenClassification(labels=("X",)), ["strip_html"])
    documents = [Document(raw_text="<!-- Bo -->Ana", raw_text_pair="<i title=abc>", gold=Annotation())]
    coverage = evaluate_documents(Predictor(processor, RecordingBackend(processor)), documents)["coverage"]
    assert (coverage["characters"], coverage["read"], coverage["deleted"], coverage["incomplete"]) == (27, 22, 5, 1)


def test_second_texts_count_too(tokenizer) -> None:
    processor = Processor(tokenizer, TokenClassification(labels=("X",)))
    documents = [Document(raw_text="Ana", raw_text_pair="in \u200b Rome", gold=Annotation())]
    coverage = evaluate_documents(Predictor(processor, RecordingBackend(processor)), documents)["coverage"]
    assert (coverage["characters"], coverage["read"], coverage["incomplete"]) == (12, 9, 1)


@pytest.mark.parametrize(
    ("coverage", "share"),
    [
        ({"characters": 19, "read": 19}, "100.00 %"),
        ({"characters": 19, "read": 13}, "68.42 %"),
        ({"characters": 10**9, "read": 10**9 - 1}, "99.99 %"),
        ({"characters": 100, "read": 5}, "5.00 %"),
        ({"characters": 10_000, "read": 7}, "0.07 %"),
        ({"characters": 3, "read": 0}, "0.00 %"),
        ({"characters": 0, "read": 0}, "100.00 %"),
    ],
)
def test_a_share_is_rounded_down(coverage: dict[str, int], share: str) -> None:
    assert share_read(coverage) == share


def test_the_table_of_scores_says_what_was_read(tokenizer) -> None:
    console = Console(file=StringIO(), width=120)
    console.print(coverage_table({"cut": _evaluate(tokenizer, "truncate"), "none": {"coverage": {}}}))
    rows = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in console.file.getvalue().splitlines()]
    header = next(row[0].split() for row in rows if "documents" in row[0])
    assert [name for name in header if name != "┃"][:5] == ["data", "documents", "windows", "read", "deleted"]
    assert next(row[:7] for row in rows if row[0] == "cut") == ["cut", "4", "4", "68.42 %", "0", "0", "1"]
    assert next(row[:7] for row in rows if row[0] == "none") == ["none", "", "", "", "", "", ""]


def test_the_model_card_says_what_was_read(tokenizer, token_processor: Processor) -> None:
    config = {"name": "demo", "model": {"base": "a/b"}, "data": {"train": "a"}, "processor": {"task": "t"}}
    metrics = {"test": _evaluate(tokenizer, "truncate"), "empty": {"coverage": {}}}
    card = model_card(RunConfig.model_validate(config), token_processor, metrics, {})
    line = (
        "Of `test`, 68.42 % of 19 characters were read, in 4 windows; 0 characters were deleted by preprocessing, 0 "
        "were unknown to the tokenizer; 1 of 4 documents were truncated."
    )
    assert f"\n{line}\n" in card
    assert "Of `empty`" not in card


def test_the_command_evaluate_says_what_was_read(saved_model: Path, tmp_path: Path) -> None:
    records = [{"text": "word " * 40 + "\u200b", "spans": []}]
    data = write_jsonl(tmp_path / "test.jsonl", records)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["evaluate", str(saved_model), str(data)])
    assert result.exit_code == 0, result.output
    assert ["1", "3", "99.00 %", "0"] in [
        [cell.strip() for cell in line.split("│")][2:6] for line in result.stdout.splitlines()
    ]
