"""Training on augmented documents: each epoch reads other texts, and a resumed run reads the same ones."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from made_up_records import CITIES, NAMES
from tiny_models import tiny_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import TrainingArguments
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Processor, Span
from nlp_training import DocumentCollator, DocumentTrainer, train
from nlp_training.augment import Augmentation, Augmenter
from nlp_training.batches.augmented_epochs import AugmentedDocuments, AugmentedWindows
from nlp_training.batches.sample_weights import RowWeights
from nlp_training.batches.window_dataset import TrainingWindows
from nlp_training.cli import app
from nlp_training.config import RunConfig

Row = tuple[tuple[int, ...], tuple[int, ...]]
SPECS: list[str | dict[str, Any]] = [
    {"replace_entities": 0.7},
    {"drop_words": {"probability": 0.7, "max_share": 0.3}},
    {"keyboard_typos": {"probability": 0.7, "max_share": 0.3}},
    {"wrap_html": 0.3},
]


def document(number: int, sentences: int) -> Document:
    """Sentences of six tokens, each with a name; windows of 24 tokens hold three of them."""
    name = NAMES[number % len(NAMES)]
    text = f"{name} lives in city {number}. "
    spans = tuple(Span(start=at * len(text), end=at * len(text) + len(name), label="PERSON") for at in range(sentences))
    return Document(id=str(number), raw_text=text * sentences, gold=Annotation(spans=spans))


SHORT = [document(number, 1) for number in range(9)]
MIXED = [document(number, sentences) for number, sentences in enumerate((1, 9, 2, 1, 15, 1, 1))]


def rows_of(batch: Any) -> list[Row]:
    """The tokens and labels of each row, without the padding."""
    lengths = batch["attention_mask"].sum(axis=1).tolist()
    return [
        (tuple(ids[:length].tolist()), tuple(labels.reshape(-1)[:length].tolist()))
        for ids, labels, length in zip(batch["input_ids"], batch["labels"], lengths, strict=True)
    ]


def texts_of(documents: Sequence[Document], *, epoch: int, seed: int = 0) -> dict[str | None, str]:
    augmenter = Augmenter(SPECS, MIXED, seed=seed)
    return {one.id: augmenter(one, epoch=epoch).document.raw_text for one in documents}


def test_what_becomes_of_a_document_is_decided_by_seed_epoch_and_id_alone() -> None:
    first = texts_of(MIXED, epoch=0)
    assert texts_of(MIXED[::-1], epoch=0) == first
    assert texts_of(MIXED[3:5], epoch=0) == {one.id: first[one.id] for one in MIXED[3:5]}
    assert Augmenter(SPECS, MIXED[::-1])(MIXED[1], epoch=0).document.raw_text == first["1"]
    assert texts_of(MIXED, epoch=1) != first
    assert texts_of(MIXED, epoch=0, seed=1) != first


def test_without_an_id_the_text_decides() -> None:
    one, other = (Document(raw_text=text) for text in ("Nobody lives in this city", "Nobody lives in that city"))
    augmenter = Augmenter([{"change_case": 0.5}])
    changed = [[bool(augmenter(item, epoch=epoch).records) for epoch in range(30)] for item in (one, one, other)]
    assert changed[0] == changed[1] != changed[2]
    assert 5 < sum(changed[0]) < 25


@pytest.mark.parametrize(("probability", "changed"), [(0, 0), (1, 200)])
def test_a_probability_is_kept(probability: float, changed: int) -> None:
    augmenter = Augmenter([{"change_case": {"probability": probability, "to": "upper"}}])
    assert sum(bool(augmenter(MIXED[0], epoch=epoch).records) for epoch in range(200)) == changed


def test_an_augmentation_draws_the_same_whatever_the_others_are_set_to() -> None:
    """Changing one setting does not shuffle everything after it."""
    upper = {"change_case": {"probability": 0.5, "to": "upper"}}
    alone, after = (
        [augmenter(MIXED[0], epoch=epoch).document.raw_text.isupper() for epoch in range(40)]
        for augmenter in (Augmenter([{"drop_words": 0.0}, upper]), Augmenter([{"drop_words": 1.0}, upper]))
    )
    assert alone == after
    assert len(set(alone)) == 2


def test_the_windows_of_an_epoch_are_those_of_its_documents(token_processor: Processor) -> None:
    augmenter = Augmenter(SPECS, MIXED)
    windows = AugmentedWindows(MIXED, token_processor, augmenter)
    collate = DocumentCollator(token_processor)
    counts = []
    for epoch in (0, 1, 2, 0):
        plan = windows.plan(epoch)
        rows = rows_of(collate([windows[item] for item in plan.items]))
        whole = Counter(rows_of(collate(list(AugmentedDocuments(MIXED, augmenter, epoch=epoch)))))
        counts.append(whole.total())
        assert len(rows) == len(plan) == len(windows) == counts[0]
        assert [len(ids) - 2 for ids, _ in rows] == plan.lengths  # beside two special tokens
        if whole.total() >= len(windows):
            assert Counter(rows) <= whole
        else:
            assert set(rows) == set(whole)
    assert len(set(counts)) > 1  # epochs of other lengths were among them


def test_where_one_window_reads_every_document_each_is_read_once_an_epoch(token_processor: Processor) -> None:
    windows = AugmentedWindows(SHORT, token_processor, Augmenter([{"change_case": 1.0}]))
    for epoch in range(3):
        items = windows.plan(epoch).items
        assert [windows[item].id for item in items] == [one.id for one in SHORT]
        assert {item.window for item in items} == {None}


def test_what_is_said_of_documents_is_said_of_their_windows(token_processor: Processor) -> None:
    plan = AugmentedWindows(MIXED, token_processor, Augmenter(SPECS, MIXED)).plan(1)
    assert plan.of_windows([float(one.id) for one in MIXED]) == [float(item.document) for item in plan.items]


def test_the_weights_of_documents_come_with_their_windows(token_processor: Processor) -> None:
    weighted = [one.model_copy(update={"metadata": {"weight": float(one.id)}}) for one in MIXED]
    windows = AugmentedWindows(weighted, token_processor, Augmenter(SPECS, weighted), weights=RowWeights("weight"))
    items = windows.plan(1).items
    batch = DocumentCollator(token_processor, "weight")([windows[item] for item in items])
    assert batch["sample_weight"].tolist() == [float(item.document) for item in items]


class Recorded:
    """A tiny model that is trained on augmented documents, the rows of each of its batches, and its weights."""

    def __init__(
        self,
        processor: Processor,
        folder: Path,
        documents: Sequence[Document],
        *,
        balance: float | None = None,
        **training: Any,
    ) -> None:
        fixed = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
        defaults = {"per_device_train_batch_size": 4, "num_train_epochs": 2, "save_strategy": "no"}
        self.model = tiny_model(processor.task)
        for module in self.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        self.batches: list[list[Row]] = []
        self.model.register_forward_pre_hook(lambda _, __, batch: self.batches.append(rows_of(batch)), with_kwargs=True)
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.trainer = DocumentTrainer(
            self.model,
            TrainingArguments(str(folder), **{**defaults, **fixed, **training}),
            processing_class=processor,
            train_dataset=documents,
            optimizers=(optimizer, LambdaLR(optimizer, lambda _: 1.0)),
            augmenter=Augmenter(SPECS, documents, seed=5),
            balance=balance,
        )

    def weights(self) -> dict[str, list[float]]:
        return {name: tensor.flatten().tolist() for name, tensor in self.model.state_dict().items()}


@pytest.mark.parametrize(
    "settings",
    [
        {"train_sampling_strategy": "group_by_length"},
        {"train_sampling_strategy": "random"},
        {"train_sampling_strategy": "sequential"},
        {"train_sampling_strategy": "group_by_length", "balance": 1.0},
        {"train_sampling_strategy": "random", "dataloader_num_workers": 1},
    ],
    ids=str,
)
def test_a_resumed_run_reads_the_same_augmented_texts_and_ends_with_the_same_weights(
    token_processor: Processor, tmp_path: Path, settings: dict[str, Any]
) -> None:
    settings = {**settings, "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 2}
    whole = Recorded(token_processor, tmp_path, MIXED, **settings)
    whole.trainer.train()
    steps = len(whole.batches) // 2
    assert whole.trainer.state.global_step == 2 * steps
    assert len(whole.trainer.get_train_dataloader()) == steps
    first, second = (
        Counter(row for batch in part for row in batch) for part in (whole.batches[:steps], whole.batches[steps:])
    )
    assert first.total() == second.total()
    assert first != second
    stopped = steps + 2
    resumed = Recorded(token_processor, tmp_path, MIXED, **settings)
    resumed.trainer.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{stopped}"))
    assert resumed.batches == whole.batches[stopped:]
    assert resumed.weights() == whole.weights()


def test_a_worker_process_that_lives_on_reads_the_epoch_that_it_is_asked_for(token_processor: Processor) -> None:
    windows = AugmentedWindows(MIXED, token_processor, Augmenter(SPECS, MIXED))
    epochs = [windows.plan(epoch).items for epoch in (0, 1)]
    order: list[Any] = []
    collate = DocumentCollator(token_processor)
    loader = DataLoader(
        windows, batch_size=4, sampler=order, collate_fn=collate, num_workers=1, persistent_workers=True
    )
    for items in epochs:
        order[:] = items
        read = [row for batch in loader for row in rows_of(batch)]
        assert read == rows_of(collate([windows[item] for item in items]))


def test_only_the_training_documents_are_augmented_and_nothing_of_it_is_in_the_model(
    span_run: RunConfig, tmp_path: Path
) -> None:
    cities = tmp_path / "cities.txt"
    cities.write_text("\n".join(CITIES), encoding="utf-8")
    augment = [{"replace_entities": {"probability": 0.5, "gazetteers": {"CITY": str(cities)}}}, {"change_case": 0.2}]
    config = RunConfig.model_validate({**span_run.model_dump(exclude_none=True), "augment": augment})
    result = train(config)
    assert result.metrics["test"]["f1"] > 0.9
    assert yaml.safe_load((result.model / "training.yaml").read_text())["augment"] == augment
    saved = (result.model / "processor_config.json").read_text()
    assert not [name for name in Augmentation.members if name in saved]


def test_an_unknown_augmentation_stops_a_run_before_it_trains(span_run: RunConfig) -> None:
    config = span_run.model_copy(update={"augment": ["keyboard_typo"]})
    with pytest.raises(ValueError, match="unknown augmentation 'keyboard_typo'; did you mean 'keyboard_typos'"):
        train(config)
    assert not (config.folder / "model").exists()


CONFIG = "configs/quickstart_augmented.yaml"
FEW = "data.train.synthetic_pii.size=30"


def preview(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["preview-augmentation", *arguments], env={"COLUMNS": "100"})


def test_the_preview_shows_the_edits_and_the_gold_of_changed_documents() -> None:
    result = preview(CONFIG, FEW, "--count", "3")
    assert result.exit_code == 0, result.output
    assert result.output.count("╭─ train-") == 6  # each before and after
    assert "replace_entities ×" in result.output
    assert "gold}" in result.output


def test_the_preview_for_machines_is_what_training_reads() -> None:
    lines = [json.loads(line) for line in preview(CONFIG, FEW, "--json", "--epoch", "2").output.splitlines()]
    assert len(lines) == 10
    for line in lines:
        source, augmented = (Document.model_validate(line[name]) for name in ("source", "augmented"))
        assert source.text == augmented.raw_text != source.raw_text
    other = preview(CONFIG, FEW, "--json", "--epoch", "3").output
    assert [json.loads(line) for line in other.splitlines()] != lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["configs/few_documents.yaml"], "no section augment"),
        ([CONFIG, FEW, "augment=[wrap_htm]"], "did you mean 'wrap_html'"),
        ([CONFIG, FEW, "augment=[{wrap_html: {max_shares: 1}}]"], "unknown key 'max_shares'"),
    ],
)
def test_a_preview_without_augmentations_says_what_is_wrong(arguments: list[str], said: str) -> None:
    result = preview(*arguments)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


def test_what_is_not_augmented_is_read_as_it_arrived(token_processor: Processor, tmp_path: Path) -> None:
    trainer = Recorded(token_processor, tmp_path, SHORT).trainer
    trainer.augmenter = None
    assert isinstance(trainer.get_train_dataloader().dataset, TrainingWindows)
