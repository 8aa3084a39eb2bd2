"""A run with a loss of its own: what is minimised, however a step is divided; and epochs with balanced labels."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_records import label_records, span_records, write_jsonl
from transformers import TrainingArguments

from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, load_config, train
from nlp_training.batches.samplers import BalancedEpochs
from nlp_training.losses import Loss
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.arguments import resolve_config
from nlp_training.trainer.build import build_processor, build_trainer
from nlp_training.trainer.splits import load_splits

ROOT = Path(__file__).parents[2]
ONE_STEP = {"num_train_epochs": 1, "optim": "sgd", "learning_rate": 1.0, "lr_scheduler_type": "constant"}
FOCAL = {"focal": {"gamma": 2, "class_weights": "inverse_frequency"}}


def changed(run: RunConfig, *, training: dict[str, Any] | None = None, **sections: Any) -> RunConfig:
    content = run.model_dump(exclude_none=True)
    content["training"] |= {"save_strategy": "no", "eval_strategy": "no", "max_grad_norm": 0, **(training or {})}
    content["data"] |= sections.pop("data", {})
    return RunConfig.model_validate({**content, **sections})


def trainer_of(run: RunConfig) -> DocumentTrainer:
    splits = load_splits(run)
    processor = build_processor(run, splits["train"])
    torch.manual_seed(0)  # of the head
    return build_trainer(resolve_config(run, processor=processor, best_metric="f1"), processor, splits)


def weights_after_training(run: RunConfig) -> dict[str, torch.Tensor]:
    trainer = trainer_of(run)
    trainer.train()
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-4, atol=1e-6, msg=lambda text, at=name: f"{at}: {text}")


def uneven(tmp_path: Path) -> dict[str, Any]:
    """Eight documents whose rows have between 4 and 36 targets, and weights between 0.5 and 4."""
    records = [
        {**record, "text": str(record["text"]) + " and so on" * (3 * (index % 4)), "weight": 0.5 * 2 ** (index % 4)}
        for index, record in enumerate(span_records("train", 8))
    ]
    return {"train": str(write_jsonl(tmp_path / "uneven.jsonl", records)), "sample_weight": "weight"}


def test_cross_entropy_trains_as_the_models_own_loss(label_run: RunConfig) -> None:
    own = weights_after_training(changed(label_run, training=ONE_STEP))
    assert_same_weights(own, weights_after_training(changed(label_run, training=ONE_STEP, loss="cross_entropy")))


@pytest.mark.parametrize("loss", [FOCAL, {"cross_entropy": 0.1}], ids=str)
def test_a_step_is_the_same_however_it_is_divided_into_batches(span_run: RunConfig, tmp_path: Path, loss: Any) -> None:
    data = uneven(tmp_path)
    whole, parts = (
        weights_after_training(changed(span_run, data=data, training={**ONE_STEP, **size}, loss=loss))
        for size in (
            {"per_device_train_batch_size": 8},
            {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        )
    )
    before = dict(trainer_of(changed(span_run, data=data, loss=loss)).model.named_parameters())
    assert (whole["classifier.weight"] - before["classifier.weight"]).abs().max() > 0.01
    assert_same_weights(whole, parts)


def test_a_step_of_two_processes_is_the_step_of_one(
    span_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(changed(span_run, data=uneven(tmp_path), loss=FOCAL))
    documents: Any = trainer.train_dataset

    def gradient(batch: Any, total: torch.Tensor) -> torch.Tensor:
        loss = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=total)
        return torch.autograd.grad(loss, trainer.model.classifier.weight)[0]

    whole = trainer.data_collator(documents)
    expected = gradient(whole, trainer._get_num_items_in_batch([whole], trainer.args.device))
    shares = [trainer.data_collator(documents[:3]), trainer.data_collator(documents[3:])]
    totals = [trainer.batch_loss.total_weight([share]) for share in shares]
    monkeypatch.setattr(TrainingArguments, "world_size", 2)
    monkeypatch.setattr(trainer.accelerator, "gather", lambda mine: torch.stack(totals) if mine in totals else mine)
    found = [gradient(one, trainer._get_num_items_in_batch([one], trainer.args.device)) for one in shares]
    torch.testing.assert_close(sum(found) / 2, expected)  # the mean over processes


def test_a_run_with_every_kind_of_loss_ends_with_a_model(span_run: RunConfig, tmp_path: Path) -> None:
    teacher = trainer_of(span_run)
    teacher.model.save_pretrained(tmp_path / "teacher")
    teacher.processor.save_pretrained(tmp_path / "teacher")
    contrast = {"supervised_contrastive": {"temperature": 0.5, "loss": FOCAL}}
    loss = {"distillation": {"teacher": str(tmp_path / "teacher"), "mix": 0.1, "loss": {"r_drop": {"loss": contrast}}}}
    model = {**span_run.model.model_dump(exclude_none=True), "settings": {"hidden_dropout_prob": 0.1}}
    result = train(changed(span_run, training={"num_train_epochs": 2}, loss=loss, model=model))
    assert load_config(result.model / "training.yaml").loss == loss
    assert "focal" not in (result.model / "processor_config.json").read_text()
    assert result.metrics["test"]["f1"] > 0.5


def test_without_a_loss_the_trainer_asks_the_model(span_run: RunConfig) -> None:
    trainer = trainer_of(span_run)
    assert trainer.batch_loss is None
    assert trainer.loss_is_scaled_for_ga is False
    batch = next(iter(trainer.get_train_dataloader()))
    assert trainer._get_num_items_in_batch([batch], torch.device("cpu")) is None
    assert torch.equal(trainer.compute_loss(trainer.model, dict(batch)), trainer.model(**batch).loss)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"sample_weight": "weight"}}, "sample_weight is 'weight', but a model's own loss takes no weights"),
        ({"loss": "focal", "training": {"label_smoothing_factor": 0.1}}, "label_smoothing_factor is 0.1, but the loss"),
        ({"sampling": {"balance": "label"}, "training": {"train_sampling_strategy": "sequential"}}, "leave one out"),
        ({"loss": "focl"}, "unknown loss 'focl'"),
        ({"loss": "asymmetric"}, "reads targets that are 0 or 1 for each label"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(label_run: RunConfig, sections: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        trainer_of(changed(label_run, **sections)).train()


def rare_farewells(tmp_path: Path) -> str:
    """42 greetings and 6 farewells."""
    records = label_records("train", 96)
    kept = [record for index, record in enumerate(records) if record["label"] == "greeting" or index % 16 == 15]
    return str(write_jsonl(tmp_path / "rare.jsonl", kept[6:]))


@pytest.mark.parametrize("strategy", ["group_by_length", "random"])
def test_balanced_epochs_have_rare_labels_as_often_as_others(
    label_run: RunConfig, tmp_path: Path, strategy: str
) -> None:
    sampling = {"sampling": {"balance": "label"}, "training": {"train_sampling_strategy": strategy}}
    trainer = trainer_of(changed(label_run, data={"train": rare_farewells(tmp_path)}, **sampling))
    labels = [label for batch in trainer.get_train_dataloader() for label in batch["labels"].tolist()]
    documents: Any = trainer.train_dataset
    rare = Counter(document.gold.categories[0].label for document in documents)
    assert rare["farewell"] * 4 < rare["greeting"]
    assert len(labels) == len(documents)
    assert abs(labels.count(0) - labels.count(1)) <= 2


@pytest.mark.parametrize("step_rows", [None, 4])
def test_an_epoch_is_decided_by_seed_and_number(step_rows: int | None) -> None:
    now = [0]
    weights = [1.0] * 30 + [6.0] * 5
    lengths = list(range(35))

    def sampler(seed: int = 3) -> BalancedEpochs:
        return BalancedEpochs(weights, step_rows=step_rows, lengths=lengths, seed=seed, epoch=lambda: now[0])

    one = sampler()
    first = list(one)
    now[0] = 1
    second = list(one)
    assert second == list(sampler())  # one that never saw the first epoch
    assert first != second != list(sampler(seed=4))
    counts = Counter(second)
    assert {counts[window] for window in range(30)} <= {0, 1}
    assert {counts[window] for window in range(30, 35)} <= {3, 4}  # 6 times 35 / 60
    assert sorted(first) != first


def test_rows_of_like_length_stand_together_when_balanced() -> None:
    lengths = [index % 10 for index in range(200)]
    grouped = BalancedEpochs([1.0] * 200, step_rows=4, lengths=lengths, seed=0, epoch=lambda: 0)
    order = [lengths[window] for window in grouped]
    assert sum(len(set(order[start : start + 4])) for start in range(0, 200, 4)) / 50 < 2  # of ten lengths


@pytest.mark.parametrize("name", ["banking77_focal", "banking77_mixup", "wnut17_recall"])
def test_the_shipped_loss_is_one(name: str) -> None:
    config = load_config(ROOT / "configs" / f"{name}.yaml")
    assert config.loss is not None
    assert Loss.from_spec(config.loss).to_spec()[next(iter(config.loss))]  # says something beside the name
    assert config.sampling.balance == ("label" if name == "banking77_focal" else "none")
