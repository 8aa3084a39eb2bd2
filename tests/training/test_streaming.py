"""A streamed training set: every document once a pass, the same order again, nothing in memory, clear refusals."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_records import label_records, write_jsonl
from transformers import TrainingArguments

from nlp_inference import Annotation, Document, Predictor, Processor
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_inference.golden import require_verified
from nlp_training import RunConfig, train
from nlp_training.augment import Augmenter
from nlp_training.batches.streaming import DocumentStream, StreamedBatches
from nlp_training.data import DataSource, InvalidDataError, load_documents
from nlp_training.data.formats.base import ReadOptions, Unit, read_units
from nlp_training.provenance.manifest import DataPrint, RunManifest
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.arguments import resolve_training
from nlp_training.trainer.build import build_processor, build_trainer
from nlp_training.trainer.splits import load_splits


def _documents(count: int, *, longest: int = 7) -> list[Document]:
    """Documents whose first words are their numbers, of 1 to `longest` further words."""
    return [
        Document(id=str(number), raw_text=f"{number} " + "word " * (1 + number % longest), gold=Annotation(spans=()))
        for number in range(count)
    ]


def _first_ids(batch: list[Any]) -> list[tuple[int, ...]]:
    return [tuple(example.row.input_ids.tolist()) for example in batch]


def _rows(processor: Processor, documents: list[Document]) -> Counter[tuple[int, ...]]:
    return Counter(tuple(one.row.input_ids.tolist()) for windows in processor.examples(documents) for one in windows)


def _one_pass(batches: StreamedBatches, windows: int) -> list[list[tuple[int, ...]]]:
    found: list[list[tuple[int, ...]]] = []
    for batch in batches:
        found.append(_first_ids(batch))
        if sum(map(len, found)) >= windows:
            break
    return found


@pytest.mark.parametrize("order", ["group_by_length", "random", "sequential"])
@pytest.mark.parametrize("buffered", [8, 10_000])
def test_a_pass_has_every_document_once(
    token_processor: Processor, monkeypatch: pytest.MonkeyPatch, order: Any, buffered: int
) -> None:
    monkeypatch.setattr("nlp_training.batches.streaming.BUFFERED_WINDOWS", buffered)
    documents = _documents(53)
    batches = StreamedBatches(documents, token_processor, 4, order=order, seed=1)
    stream = iter(batches)
    passes = [[_first_ids(batch) for batch in islice(stream, 14)] for _ in range(2)]
    for one in passes:
        assert [len(batch) for batch in one] == [4] * 13 + [1]
        assert sum(map(Counter, one), Counter()) == _rows(token_processor, documents)
    assert passes[0] == [_first_ids(batch) for batch in islice(iter(batches), 14)]
    assert (passes[0] == passes[1]) == (order == "sequential")


def test_windows_of_like_length_share_a_step(token_processor: Processor) -> None:
    batches = StreamedBatches(
        _documents(64, longest=60), token_processor, 4, step_size=8, order="group_by_length", seed=0
    )
    steps = _one_pass(batches, 64)
    both = [sorted(map(len, steps[at] + steps[at + 1])) for at in range(0, 16, 2)]
    assert max(lengths[-1] - lengths[0] for lengths in both[1:]) <= 16  # of 60; the longest row is in the first step


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_a_pass(token_processor: Processor, processes: int) -> None:
    documents = _documents(20)
    seen: Counter[tuple[int, ...]] = Counter()
    for process in range(processes):
        share = len(documents[process::processes])
        batches = StreamedBatches(documents, token_processor, 4, order="random", seed=0, share=(process, processes))
        seen += sum(map(Counter, _one_pass(batches, share)), Counter())
    assert seen == _rows(token_processor, documents)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # than there are cores for a test
def test_workers_share_the_documents_of_their_process(token_processor: Processor) -> None:
    documents = _documents(21)
    batches = StreamedBatches(documents, token_processor, 2, order="sequential", seed=0, share=(1, 2))
    loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=_first_ids, num_workers=2)
    one_pass = list(islice(iter(loader), 6))  # 5 documents a worker: batches of 2, 2, 1
    assert sum(map(Counter, one_pass), Counter()) == _rows(token_processor, documents[2::4] + documents[3::4])


def test_a_long_document_is_trained_window_by_window_and_augmented_anew_in_each_pass(
    token_processor: Processor,
) -> None:
    short = Processor(token_processor.tokenizer, token_processor.task, windows={"max_length": 8})
    [long] = documents = [Document(id="a", raw_text="one two three four " * 5, gold=Annotation(spans=()))]
    stream = iter(StreamedBatches(documents, short, 2, order="sequential", seed=0))
    windows = [row for batch in islice(stream, 2) for row in _first_ids(batch)]
    assert windows == [row for batch in [short.examples([long])[0]] for row in _first_ids(batch)]
    augmenter = Augmenter([{"change_case": {"probability": 1}}], seed=0)
    stream = iter(StreamedBatches(documents, short, 4, order="sequential", seed=0, augmenter=augmenter))
    for epoch in range(2):
        changed = augmenter(long, epoch=epoch).document
        assert _first_ids(next(stream)) == _first_ids(short.examples([changed])[0])


def test_examples_of_a_stream_make_the_batch_that_documents_make(token_processor: Processor) -> None:
    documents = _documents(4)
    [batch] = islice(iter(StreamedBatches(documents, token_processor, 4, order="sequential", seed=0)), 1)
    of_stream = token_processor(batch, labels=True, return_tensors="pt")
    of_documents = token_processor(documents, labels=True, return_tensors="pt")
    assert all(torch.equal(of_stream[name], of_documents[name]) for name in of_documents)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "pass 1 .* has none for process 0 of 1"),
        ([Document(id="a", raw_text="x")], "train: document 'a' has no gold"),
        (
            [
                Document(
                    id="a",
                    raw_text="x",
                    gold=Annotation.model_validate({"spans": [{"start": 0, "end": 1, "label": "N"}]}),
                )
            ],
            "train: the label 'N' is not among the labels of the task",
        ),
    ],
)
def test_documents_that_cannot_be_learnt_from_end_the_training(
    token_processor: Processor, documents: list[Document], message: str
) -> None:
    with pytest.raises(InvalidDataError, match=message):
        next(iter(StreamedBatches(documents, token_processor, 2, order="random", seed=0)))


def _streamed(run: RunConfig, **training: Any) -> RunConfig:
    content = run.model_dump(exclude_none=True)
    content["data"]["train"] = {"path": content["data"]["train"]["path"], "streaming": True}
    content["training"] = {"learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False, **training}
    return RunConfig.model_validate(content)


def test_a_streamed_run_learns_and_leaves_a_model_that_verifies(span_run: RunConfig) -> None:
    run = _streamed(span_run, max_steps=24)
    run = run.model_copy(
        update={
            "processor": run.processor.model_copy(
                update={"task": {"token-classification": {"labels": ["CITY", "PERSON"]}}}
            ),
            "augment": [{"replace_entities": {"probability": 0.5}}],
            "loss": {"focal": {"class_weights": "inverse_frequency"}},
        }
    )
    result = train(run)
    assert result.metrics["test"]["f1"] == 1.0
    assert Predictor.from_pretrained(result.model).predict(["Ana lives in Rome"])[0].predicted is not None
    verification = require_verified(result.model)
    assert verification.bit_for_bit == verification.records
    of_file = hashlib.sha256(Path(str(run.data.train.path)).read_bytes()).hexdigest()
    assert RunManifest.load(run.folder).data["train"] == DataPrint(documents=None, sha256=of_file)


def test_a_resumed_stream_goes_on_where_it_was(label_run: RunConfig) -> None:
    content = _streamed(label_run, max_steps=9, save_steps=3, save_total_limit=9).model_dump(exclude_none=True)
    content["processor"]["task"] = {"text-classification": {"labels": ["farewell", "greeting"]}}
    run = RunConfig.model_validate(content)  # 48 documents: the second pass begins in step 7

    def trained(resume: str | None) -> dict[str, torch.Tensor]:
        splits = load_splits(run)
        torch.manual_seed(0)
        trainer = build_trainer(run, build_processor(run, None), splits)
        trainer.train(resume_from_checkpoint=resume)
        return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}

    whole = trained(None)
    resumed = trained(str(run.folder / "checkpoints" / "checkpoint-3"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_labels_of_a_stream_must_be_written(span_run: RunConfig) -> None:
    with pytest.raises(InvalidSpecError, match=r"set them: processor.task: {token-classification: {labels:"):
        train(_streamed(span_run, max_steps=1))


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({}, "training.max_steps is None; set the number of training steps"),
        ({"max_steps": 5, "eval_strategy": "epoch"}, "training.eval_strategy is 'epoch', but data.train is streamed"),
    ],
)
def test_a_stream_has_no_epochs(span_run: RunConfig, training: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        resolve_training(_streamed(span_run, **training), best_metric="f1")


@pytest.mark.parametrize(
    ("training", "every"), [({"max_steps": 41}, 5), ({"max_steps": 41, "eval_steps": 7}, 7), ({"max_steps": 3}, 1)]
)
def test_a_stream_is_evaluated_ten_times_by_default(span_run: RunConfig, training: dict[str, Any], every: int) -> None:
    run = _streamed(span_run, **training)
    resolved = resolve_training(run, best_metric="f1")
    assert resolved["eval_strategy"] == resolved["save_strategy"] == resolved["logging_strategy"] == "steps"
    assert resolved["eval_steps"] == resolved["save_steps"] == every
    again = resolve_training(run.model_copy(update={"training": resolved}), best_metric="f1")
    assert again == resolved


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"train": "a.jsonl", "validation": {"path": "b.jsonl", "streaming": True}},
            "validation is streamed, but only",
        ),
        ({"train": "a.jsonl", "test": {"path": "b.jsonl", "streaming": True}}, "test is streamed, but only train"),
        ({"train": {"path": "a.jsonl", "streaming": True}, "split": {"validation": 0.1}}, "so it cannot be split"),
    ],
)
def test_only_the_training_set_is_streamed(span_run: RunConfig, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunConfig.model_validate({**span_run.model_dump(exclude_none=True), "data": data})


def _forever() -> Iterator[Document]:
    yield from _documents(1)


@pytest.mark.parametrize(
    ("documents", "steps", "balance", "message"),
    [
        (DocumentStream(DataSource(path="a.jsonl")), -1, None, "max_steps is -1; set the number of training steps"),
        (_forever(), 5, None, "can be read only once"),
        (DocumentStream(DataSource(path="a.jsonl")), 5, 1.0, "sampling.balance needs the label frequencies"),
    ],
)
def test_a_trainer_refuses_a_stream_that_it_cannot_train_on(
    token_processor: Processor, tmp_path: Path, documents: Any, steps: int, balance: float | None, message: str
) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, max_steps=steps, report_to="none")
    with pytest.raises(InvalidSpecError, match=message):
        DocumentTrainer(
            torch.nn.Linear(1, 1), args, processing_class=token_processor, train_dataset=documents, balance=balance
        )


def test_a_stream_is_read_anew_and_says_what_a_list_says(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "train.jsonl", label_records("train", 5))
    stream = DocumentStream(DataSource(path=str(path)))
    assert list(stream) == list(stream) == load_documents(path)


def test_repeated_ids_are_found_among_the_ids_that_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp_training.data.formats.base._IDS_KEPT", 3)

    def read(*ids: str) -> list[Document]:
        units = (
            Unit(f"line {number}", lambda one=one: Document(id=one, raw_text="")) for number, one in enumerate(ids)
        )
        return list(read_units(units, ReadOptions()))

    assert len(read("a", "b", "c", "d", "a")) == 5
    with pytest.raises(InvalidDocumentError, match="line 3: line 0 already has the id 'a'"):
        read("a", "b", "c", "a")


def test_other_formats_are_streamed_too(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("text,label\nHello,greeting\nBye,farewell\n")
    assert [document.raw_text for document in DocumentStream(DataSource(path=str(path)))] == ["Hello", "Bye"]
