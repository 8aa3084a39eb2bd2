"""A run leaves golden records beside its model, of the texts that the configuration allows."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from nlp_inference import Document, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_inference.golden import read_golden, require_verified
from nlp_inference.golden.hostile import HOSTILE_TEXTS
from nlp_training import RunConfig, train
from nlp_training.artefact.golden import golden_documents
from nlp_training.config import GoldenConfig


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
        (b"caf\xe9\n", "is not UTF-8"),
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
    assert not [path for path in span_run.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["Ana"] * 4097, r"select 41\d\d texts, including the fixed ones, but at most 4096 can be recorded"),
        (["a" * 150_000, "b" * 50_001], "own.jsonl' contains 200001 characters, but at most 200000 can be recorded"),
        (
            ['{"text": "Rome", "text_pair": "It is in Rome that Ana met Bo"}'],
            r"golden\.file selects .* leaves",
        ),
    ],
    ids=["too many", "too long", "not to be encoded"],
)
def test_texts_that_could_not_be_recorded_are_refused_before_training(
    span_run: RunConfig, text_processor: Processor, tmp_path: Path, lines: list[str], said: str
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text("\n".join(lines), encoding="utf-8")
    config = span_run.model_copy(update={"golden": GoldenConfig(file=str(own))})
    narrow = Processor(text_processor.tokenizer, text_processor.task, windows={"max_length": 8})
    with pytest.raises(InvalidSpecError, match=said):
        golden_documents(config, narrow, ())


def test_a_validation_text_that_cannot_be_encoded_is_refused_before_training(
    span_run: RunConfig, text_processor: Processor
) -> None:
    narrow = Processor(text_processor.tokenizer, text_processor.task, windows={"max_length": 8})
    document = Document(raw_text="Rome", raw_text_pair="It is in Rome that Ana met Bo")
    with pytest.raises(InvalidSpecError, match=r"golden.records selects .* remove the text 'Rome'"):
        golden_documents(span_run, narrow, [document])


def test_the_sample_is_that_of_the_runs_seed(span_run: RunConfig, token_processor) -> None:
    validation = [Document(raw_text=f"text {number}") for number in range(99)]
    chosen = [
        golden_documents(span_run.model_copy(update={"seed": seed}), token_processor, validation)["validation"]
        for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(chosen[0]) == 32
