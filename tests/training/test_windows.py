"""Training reads windows: a batch has as many rows as it says, and an epoch has every window exactly once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_records import NAMES
from strategies import flat_spans, sentences
from tiny_models import LABELS, tiny_model
from torch.optim.lr_scheduler import LambdaLR
from transformers import BatchFeature, PreTrainedModel, TrainingArguments

from nlp_inference import Annotation, Category, Document, Processor, Span
from nlp_inference.encoding.input_rows import Example
from nlp_inference.encoding.input_rows import Row as InputRow
from nlp_training import DocumentCollator, DocumentTrainer
from nlp_training.batches import window_dataset as windows
from nlp_training.batches.streams import encode_stream, in_chunks
from nlp_training.batches.window_dataset import LengthGroupedEpochs, TrainingWindows, row_lengths
from nlp_training.runs.run import measure_training_set

Row = tuple[tuple[int, ...], tuple[int, ...]]


def rows_of(batch: BatchFeature | dict[str, Any]) -> list[Row]:
    """The tokens and labels of each row, without the padding."""
    lengths = batch["attention_mask"].sum(axis=1).tolist()
    return [
        (tuple(ids[:length].tolist()), tuple(labels.reshape(-1)[:length].tolist()))
        for ids, labels, length in zip(batch["input_ids"], batch["labels"], lengths, strict=True)
    ]


def training_windows(processor: Processor, documents: Sequence[Document]) -> TrainingWindows:
    return TrainingWindows(documents, processor, [row_lengths(one) for one in encode_stream(processor, documents)])


def document(number: int, sentences_of_it: int) -> Document:
    """Sentences of six tokens, each with a name; windows of 24 tokens hold three of them."""
    name = NAMES[number % len(NAMES)]
    text = f"{name} lives in city {number}. "
    spans = tuple(
        Span(start=index * len(text), end=index * len(text) + len(name), label="PERSON")
        for index in range(sentences_of_it)
    )
    gold = Annotation(spans=spans, categories=(Category(label="ham" if number % 2 else "spam"),))
    return Document(id=str(number), raw_text=text * sentences_of_it, gold=gold)


MIXED = [document(number, length) for number, length in enumerate((1, 12, 2, 1, 30, 1, 9, 1, 1))]


@st.composite
def gold_documents(draw):
    raw = " ".join(draw(st.lists(sentences, min_size=1, max_size=12)))
    return Document(raw_text=raw, gold=Annotation(spans=draw(flat_spans(len(raw), LABELS))))


@settings(max_examples=60)
@given(documents=st.lists(gold_documents(), min_size=1, max_size=5), size=st.integers(1, 4), data=st.data())
def test_batches_of_windows_hold_the_rows_that_the_documents_have(token_processor, documents, size, data):
    items = training_windows(token_processor, documents)
    order = data.draw(st.permutations(range(len(items))))
    collate = DocumentCollator(token_processor)
    seen: Counter[Row] = Counter()
    for chosen in in_chunks(order, size=size):
        rows = rows_of(collate([items[index] for index in chosen]))
        assert len(rows) == len(chosen)
        seen.update(rows)
    assert seen == Counter(rows_of(collate(documents)))


def test_every_window_of_every_document_is_an_item(token_processor: Processor) -> None:
    items = training_windows(token_processor, MIXED)
    assert len(items) == 25
    assert max(items.lengths) == 22  # beside two special tokens
    assert [len(items[index].row.input_ids) - 2 for index in range(25)] == items.lengths


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_window_beyond_the_last(token_processor: Processor, index: int) -> None:
    with pytest.raises(IndexError, match=f"index {index} is out of range for 3 windows"):
        training_windows(token_processor, [document(number, 1) for number in range(3)])[index]


@pytest.mark.parametrize(("kept", "encodings"), [(8_000, 1), (0, 3)])
def test_long_documents_stay_encoded_within_a_bound(
    token_processor: Processor, monkeypatch: pytest.MonkeyPatch, kept: int, encodings: int
) -> None:
    long = [document(number, 9) for number in (0, 6, 12, 18)]  # of one name
    items = training_windows(token_processor, long)
    assert len(items) == 4 * 3
    monkeypatch.setattr(windows, "KEPT_BYTES", kept)
    seen: Counter[str] = Counter()
    encode = Processor.encode

    def count(self: Processor, documents: list[Document]) -> Any:
        seen.update(str(one.id) for one in documents)
        return encode(self, documents)

    monkeypatch.setattr(Processor, "encode", count)
    in_turn = [items[first + window] for window in range(3) for first in (0, 3, 6, 9)]
    assert seen == dict.fromkeys(("0", "6", "12", "18"), encodings)
    collate = DocumentCollator(token_processor)
    assert Counter(rows_of(collate(in_turn))) == Counter(rows_of(collate(long)))


def test_what_is_new_in_a_batch_is_encoded_at_once_and_in_the_next_epoch_nothing_is(
    token_processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = training_windows(token_processor, MIXED)
    calls: list[list[str]] = []
    encode = Processor.encode

    def count(self: Processor, documents: list[Document]) -> Any:
        calls.append([str(one.id) for one in documents])
        return encode(self, documents)

    monkeypatch.setattr(Processor, "encode", count)
    loader = torch.utils.data.DataLoader(items, batch_size=5, collate_fn=DocumentCollator(token_processor))
    first, second = list(loader), list(loader)
    assert [one for one in calls if one] == [["0", "1"], ["2", "3", "4"], ["5"], ["6", "7", "8"]]
    assert [rows_of(batch) for batch in first] == [rows_of(batch) for batch in second]


@pytest.mark.parametrize(("largest", "bytes_each"), [(127, 1), (32_767, 2), (32_768, 4), (2**40, 8)])
def test_a_window_that_is_kept_takes_few_bytes_and_comes_back_as_it_was(largest: int, bytes_each: int) -> None:
    ids, labels = np.array([0, largest]), np.array([-100, 5])
    score = np.array(0.5, dtype=np.float32)
    example = Example(InputRow(ids, np.zeros(2, dtype=np.int64), slice(0, 2)), {"labels": labels, "score": score})
    packed = windows._PackedExample.of(example)
    assert packed.input_ids.values.nbytes == 2 * bytes_each
    assert packed.token_type_ids.values.nbytes == packed.targets["labels"].values.nbytes == 2
    back = packed.unpacked()
    for array, other in zip((*example.row[:2], labels, score), (*back.row[:2], *back.targets.values()), strict=True):
        assert (array.dtype, array.tolist()) == (other.dtype, other.tolist())


class Recorded:
    """A tiny model that is trained, the rows of each of its batches, and its weights."""

    def __init__(self, processor: Processor, folder: Path, documents: Sequence[Document], **training: Any) -> None:
        defaults: dict[str, Any] = {
            "per_device_train_batch_size": 4,
            "num_train_epochs": 1,
            "train_sampling_strategy": "group_by_length",
            "save_strategy": "no",
        }
        fixed = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
        self.model: PreTrainedModel = tiny_model(processor.task)
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        self.batches: list[list[Row]] = []
        self.model.register_forward_pre_hook(self._record, with_kwargs=True)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)
        self.trainer = DocumentTrainer(
            self.model,
            TrainingArguments(str(folder), **{**defaults, **fixed, **training}),
            processing_class=processor,
            train_dataset=documents,
            optimizers=(optimizer, LambdaLR(optimizer, lambda _: 1.0)),
        )

    def _record(self, _: torch.nn.Module, __: tuple[Any, ...], batch: dict[str, Any]) -> None:
        self.batches.append(rows_of(batch))

    def weights(self) -> dict[str, list[float]]:
        return {name: tensor.flatten().tolist() for name, tensor in self.model.state_dict().items()}


@pytest.mark.parametrize("strategy", ["group_by_length", "random", "sequential"])
def test_an_epoch_trains_every_window_once_in_steps_of_bounded_rows(
    token_processor: Processor, tmp_path: Path, strategy: str
) -> None:
    run = Recorded(token_processor, tmp_path, MIXED, train_sampling_strategy=strategy)
    run.trainer.train()
    every_row = Counter(rows_of(DocumentCollator(token_processor)(MIXED)))
    assert every_row.total() == 25
    assert [len(rows) for rows in run.batches] == [4, 4, 4, 4, 4, 4, 1]
    assert Counter(row for rows in run.batches for row in rows) == every_row
    assert run.trainer.state.global_step == 7


@pytest.mark.parametrize(
    ("strategy", "accumulated", "stopped", "batches"),
    [
        ("group_by_length", 1, 7, 7),
        ("random", 1, 9, 9),
        ("group_by_length", 2, 4, 7),  # the fourth step of an epoch has the one batch that is left
        pytest.param("group_by_length", 1, 3, 3, marks=pytest.mark.slow),
        pytest.param("group_by_length", 1, 9, 9, marks=pytest.mark.slow),
        pytest.param("random", 1, 3, 3, marks=pytest.mark.slow),
        pytest.param("group_by_length", 2, 3, 6, marks=pytest.mark.slow),
        pytest.param("group_by_length", 2, 5, 9, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_run_reads_on_where_it_was_and_ends_with_the_same_weights(
    token_processor: Processor, tmp_path: Path, strategy: str, accumulated: int, stopped: int, batches: int
) -> None:
    settings = {
        "num_train_epochs": 2,
        "save_strategy": "steps",
        "save_steps": stopped,
        "learning_rate": 0.1,
        "train_sampling_strategy": strategy,
        "gradient_accumulation_steps": accumulated,
    }
    whole = Recorded(token_processor, tmp_path, MIXED, **settings)
    whole.trainer.train()
    assert len(whole.batches) == 14
    assert whole.batches[:7] != whole.batches[7:]
    resumed = Recorded(token_processor, tmp_path, MIXED, **settings)
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stopped}"))
    assert resumed.batches == whole.batches[batches:]
    assert resumed.weights() == whole.weights()


def test_accumulated_gradients_are_those_of_the_whole_batch(text_processor: Processor, tmp_path: Path) -> None:
    documents = [document(number, 1) for number in range(8)]
    fixed: dict[str, Any] = {"train_sampling_strategy": "sequential", "max_grad_norm": 0.0, "max_steps": 1}
    at_once = Recorded(text_processor, tmp_path, documents, per_device_train_batch_size=8, **fixed)
    in_parts = Recorded(
        text_processor, tmp_path, documents, per_device_train_batch_size=2, gradient_accumulation_steps=4, **fixed
    )
    at_once.trainer.train()
    in_parts.trainer.train()
    assert [len(rows) for rows in in_parts.batches] == [2, 2, 2, 2]
    for name, weights in at_once.weights().items():
        assert in_parts.weights()[name] == pytest.approx(weights, abs=1e-6), name


def test_lengths_that_the_report_saw_are_not_asked_for_again(
    token_processor: Processor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Recorded(token_processor, tmp_path, MIXED).trainer
    own = trainer.get_train_dataloader().dataset.lengths
    measure_training_set(trainer, MIXED)
    monkeypatch.delattr(Processor, "encode")
    assert trainer.get_train_dataloader().dataset.lengths == own


def test_lengths_of_other_documents_are_not_taken_even_if_they_are_as_many(
    token_processor: Processor, tmp_path: Path
) -> None:
    trainer = Recorded(token_processor, tmp_path, MIXED).trainer
    others = [document(number, 1) for number in range(len(MIXED))]
    measure_training_set(trainer, others)
    assert len(trainer.get_train_dataloader().dataset) == 25
    trainer.train_dataset = others
    assert len(trainer.get_train_dataloader().dataset) == len(others)


def test_a_step_has_rows_of_like_length_the_longest_first_and_an_incomplete_one_last() -> None:
    lengths = [1 + number % 50 for number in range(1002)]
    order = list(LengthGroupedEpochs(10, lengths=lengths, seed=3, epoch=lambda: 0))
    steps = [[lengths[row] for row in order[start : start + 10]] for start in range(0, len(order), 10)]
    assert sorted(order) == list(range(1002))
    assert max(steps[0]) == 50
    assert [len(step) for step in steps] == [10] * 100 + [2]
    padded = sum(max(step) * len(step) for step in steps)
    assert 1 - sum(lengths) / padded < 0.03
    assert steps[1:-1] != sorted(steps[1:-1], reverse=True)


def test_few_rows_are_sorted_as_a_whole_so_that_little_is_padded() -> None:
    lengths = [1 + number * number // 200 for number in range(400)]
    order = list(LengthGroupedEpochs(4, lengths=lengths, seed=3, epoch=lambda: 0))
    steps = [[lengths[row] for row in order[start : start + 4]] for start in range(0, 400, 4)]
    assert 1 - sum(lengths) / sum(max(step) * len(step) for step in steps) < 0.02
    assert steps[1:] != sorted(steps[1:], reverse=True)


def test_rows_that_share_a_step_are_others_in_the_next_epoch() -> None:
    epoch = [0]
    sampler = LengthGroupedEpochs(4, lengths=list(range(800)), seed=3, epoch=lambda: epoch[0])

    def steps() -> set[frozenset[int]]:
        order = list(sampler)
        return {frozenset(order[start : start + 4]) for start in range(0, 800, 4)}

    first = steps()
    epoch[0] = 1
    assert len(first & steps()) < 10


def test_the_order_of_an_epoch_is_that_of_its_seed_and_number() -> None:
    epoch = [0]
    lengths = list(range(40))
    sampler = LengthGroupedEpochs(4, lengths=lengths, seed=7, epoch=lambda: epoch[0])
    first = list(sampler)
    assert (sorted(first), len(sampler), list(sampler)) == (lengths, 40, first)
    epoch[0] = 1
    second = list(sampler)
    assert second != first
    assert list(LengthGroupedEpochs(4, lengths=lengths, seed=7, epoch=lambda: 1)) == second
    assert list(LengthGroupedEpochs(4, lengths=lengths, seed=9, epoch=lambda: 1)) != second
