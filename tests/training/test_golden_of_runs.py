"""A run leaves golden records beside its model, of the texts that the configuration allows."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from nlp_inference import Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.golden import read_golden, require_verified
from nlp_inference.golden.hostile import HOSTILE_TEXTS
from nlp_training import RunConfig, train
from nlp_training.config import GoldenConfig
from nlp_training.golden import golden_documents


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=100)


def test_a_run_leaves_golden_records_of_its_validation_documents_that_verify(
    span_run: RunConfig, console: Console, tmp_path: Path
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text('{"text": "Ana\'s own", "id": "private"}\nBo\n', encoding="utf-8")
    golden = GoldenConfig(records=5, file=str(own))
    model = train(span_run.model_copy(update={"golden": golden}), console=console).model
    records = read_golden(model).records
    by_origin = {
        origin: [record.raw_text for record in records if record.origin == origin]
        for origin in ("validation", "file", "hostile")
    }
    validation = (tmp_path / "validation.jsonl").read_text()
    assert len(by_origin["validation"]) == 5
    assert all(text in validation for text in by_origin["validation"])
    assert by_origin["file"] == ["Ana's own", "Bo"]
    assert set(by_origin["hostile"]) > set(HOSTILE_TEXTS.values())
    verification = require_verified(model)
    assert verification.bit_for_bit == verification.records == len(records)
    assert (model / "golden.json").stat().st_size < 2**20


def test_no_text_of_the_data_is_recorded_if_the_configuration_says_so(
    label_run: RunConfig, console: Console, tmp_path: Path
) -> None:
    config = label_run.model_copy(update={"golden": GoldenConfig(records=0)})
    model = train(config, console=console).model
    assert {record.origin for record in read_golden(model).records} == {"hostile"}
    assert require_verified(model).ok


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{broken\n", "own.jsonl:1"),
        (b'{"id": "1"}\n', "no 'text'"),
        (b"caf\xe9\n", "no UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_golden_texts_that_cannot_be_read_is_named_before_training(
    span_run: RunConfig, console: Console, tmp_path: Path, content: bytes | None, said: str
) -> None:
    own = tmp_path / "own.jsonl"
    if content is not None:
        own.write_bytes(content)
    config = span_run.model_copy(update={"golden": GoldenConfig(file=str(own))})
    with pytest.raises(InvalidSpecError, match=said):
        train(config, console=console)
    assert not span_run.folder.exists()


def test_the_sample_is_that_of_the_runs_seed(span_run: RunConfig, token_processor) -> None:
    validation = [Document(raw_text=f"text {number}") for number in range(99)]
    chosen = [
        golden_documents(span_run.model_copy(update={"seed": seed}), token_processor, validation)["validation"]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 32
