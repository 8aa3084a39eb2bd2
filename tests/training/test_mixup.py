"""Mixup: rows between rows; what is padding stays out of it, and what is drawn is decided by seed and step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_records import label_records, write_jsonl
from tiny_models import tiny_model
from torch.nn import functional
from transformers import TrainingArguments

from nlp_inference import Document, Processor
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidSpecError, UnknownTypeError
from nlp_training import DocumentCollator, RunConfig, load_config, train
from nlp_training.losses import Loss
from nlp_training.losses.mixup import Mixer, Mixing, Mixup
from nlp_training.trainer import DocumentTrainer
from nlp_training.trainer.arguments import resolve_config
from nlp_training.trainer.batch_loss import BatchLoss
from nlp_training.trainer.build import build_processor, build_trainer
from nlp_training.trainer.splits import load_splits

TEXTS = [
    Document(raw_text=text, gold={"categories": [{"label": label}]}, metadata={"weight": weight})
    for text, label, weight in (
        ("Buy now", "spam", 2.0),
        ("How are you, and how is your sister in Rome?", "ham", 0.5),
        ("See you later", "ham", 1.0),
        ("Cheap, cheap, cheap", "spam", 3.0),
    )
]
SPANS = [
    Document(
        raw_text=text,
        gold={"spans": [{"start": 0, "end": len(text.split()[0]), "label": "PERSON"}]},
        metadata={"weight": weight},
    )
    for text, weight in (("Ana lives in Rome", 2.0), ("Bo left", 0.5), ("Carla, who is not Ana, sings in Lima", 1.0))
]


def quiet_model(processor: Processor) -> torch.nn.Module:
    """Without dropout, so that it says the same twice."""
    return tiny_model(processor.task).eval()


def mixup_loss(spec: Any, processor: Processor, model: torch.nn.Module, *, mixing: Mixing | None = None) -> BatchLoss:
    loss = BatchLoss(Loss.from_spec(spec), processor=processor, model=model, documents=None, device="cpu")
    assert loss.mixer is not None
    if mixing is not None:
        loss.mixer.draw = lambda rows: mixing  # type: ignore[method-assign]
    return loss


def mixer(
    alpha: float = 0.4, *, model: Any, probability: float = 1.0, seed: str = "1", step: Callable[[], int]
) -> Mixer:
    return Mixer(Mixup(alpha=alpha, probability=probability), model=model, seed=seed, step=step)


def logits_by_hand(model: Any, batch: Any, mixing: Mixing) -> torch.Tensor:
    """One row at a time, padded only as far as the longer of both texts reaches."""
    table = model.get_input_embeddings().weight
    found = []
    for row, partner in enumerate(mixing.partners):
        lengths = [int(batch["attention_mask"][one].sum()) for one in (row, partner)]
        embeddings = torch.zeros(1, max(lengths), table.shape[1])
        for one, length, share in zip((row, partner), lengths, (mixing.share, 1 - mixing.share), strict=True):
            embeddings[0, :length] += share * table[batch["input_ids"][one, :length]]
        found.append(model(inputs_embeds=embeddings).logits[0])
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True) if found[0].ndim == 2 else torch.stack(found)


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_cross_entropy_of_mixed_texts_is_the_one_of_soft_targets(text_processor: Processor, share: float) -> None:
    model, mixing = quiet_model(text_processor), Mixing(share, [1, 3, 2, 0])
    batch = DocumentCollator(text_processor)(TEXTS)
    value, _ = mixup_loss("mixup", text_processor, model, mixing=mixing)(model, batch)
    one_hot = functional.one_hot(batch["labels"], len(text_processor.task.labels)).float()
    soft = share * one_hot + (1 - share) * one_hot[mixing.partners]
    expected = functional.cross_entropy(logits_by_hand(model, batch, mixing), soft)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_tags_are_mixed_place_by_place_and_what_is_ignored_stays_ignored(token_processor: Processor) -> None:
    model, mixing = quiet_model(token_processor), Mixing(0.7, [1, 2, 0])
    batch = DocumentCollator(token_processor)(SPANS)
    value, _ = mixup_loss({"mixup": {"loss": {"focal": 0}}}, token_processor, model, mixing=mixing)(model, batch)
    log_p = logits_by_hand(model, batch, mixing).log_softmax(-1)
    expected, count = 0.0, 0
    for row, partner in enumerate(mixing.partners):
        for of, share in ((row, 0.7), (partner, 0.3)):
            for place, label in enumerate(batch["labels"][of].tolist()):
                if label != IGNORED:
                    expected -= share * log_p[row, place, label].item()
                    count += of == row
    assert value.item() == pytest.approx(expected / count, rel=1e-5)


@pytest.mark.parametrize("tags", [False, True], ids=["texts", "tags"])
def test_every_target_counts_as_much_as_without_mixup(
    token_processor: Processor, text_processor: Processor, tags: bool
) -> None:
    """Where all answers are the same, mixing rows changes none, and the weighted mean must be the one without it."""
    processor, documents = (token_processor, SPANS) if tags else (text_processor, TEXTS)
    model = quiet_model(processor)
    head = model.classifier
    torch.nn.init.zeros_(head.weight)
    batch = DocumentCollator(processor, "weight")(documents)
    order = torch.randperm(len(documents)).tolist()
    mixed, _ = mixup_loss("mixup", processor, model, mixing=Mixing(0.6, order))(model, batch)
    plain = BatchLoss(Loss.from_spec("cross_entropy"), processor=processor, model=model, documents=None, device="cpu")
    torch.testing.assert_close(mixed, plain(model, batch)[0], rtol=1e-5, atol=1e-6)


def test_a_row_that_is_mixed_with_itself_or_with_a_share_of_nothing_is_as_it_was(text_processor: Processor) -> None:
    model, batch = quiet_model(text_processor), DocumentCollator(text_processor)(TEXTS)
    plain = BatchLoss(Loss.from_spec("focal"), processor=text_processor, model=model, documents=None, device="cpu")
    expected, _ = plain(model, batch)
    for mixing in (Mixing(0.6, [0, 1, 2, 3]), Mixing(1.0, [1, 2, 3, 0])):
        value, _ = mixup_loss({"mixup": {"loss": "focal"}}, text_processor, model, mixing=mixing)(model, batch)
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)


def test_padding_changes_nothing(text_processor: Processor) -> None:
    model, batch = quiet_model(text_processor), DocumentCollator(text_processor)(TEXTS)
    longer = {
        name: functional.pad(tensor, (0, 9), value=7 if name == "input_ids" else 0) if tensor.ndim == 2 else tensor
        for name, tensor in batch.items()
    }
    loss = mixup_loss("mixup", text_processor, model, mixing=Mixing(0.7, [3, 0, 1, 2]))
    torch.testing.assert_close(loss(model, longer)[0], loss(model, dict(batch))[0], rtol=1e-5, atol=1e-6)


def test_the_places_of_both_rows_are_read_each_with_the_type_of_the_token_there(text_processor: Processor) -> None:
    model = tiny_model(text_processor.task)
    inputs = {
        "input_ids": torch.tensor([[5, 6, 0, 0], [7, 8, 9, 0]]),
        "attention_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]]),
        "token_type_ids": torch.tensor([[0, 0, 0, 0], [0, 1, 1, 0]]),
    }
    mixed = mixer(model=model, step=lambda: 0).mixed(inputs, Mixing(0.75, [1, 0]))
    table = model.get_input_embeddings().weight
    assert sorted(mixed) == ["attention_mask", "inputs_embeds", "token_type_ids"]
    assert mixed["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0]]
    assert mixed["token_type_ids"].tolist() == [[0, 0, 1, 0], [0, 1, 1, 0]]
    torch.testing.assert_close(mixed["inputs_embeds"][0, 1], 0.75 * table[6] + 0.25 * table[8])
    torch.testing.assert_close(mixed["inputs_embeds"][0, 2], 0.25 * table[9])
    torch.testing.assert_close(mixed["inputs_embeds"][1, 2], 0.75 * table[9])
    assert not mixed["inputs_embeds"][:, 3].any()


def test_gradients_reach_the_embeddings_of_both_rows(text_processor: Processor) -> None:
    model, batch = quiet_model(text_processor), DocumentCollator(text_processor)(TEXTS[:2])
    loss = mixup_loss("mixup", text_processor, model, mixing=Mixing(0.7, [1, 0]))
    loss(model, batch)[0].backward()
    touched = model.get_input_embeddings().weight.grad.abs().sum(dim=1) > 0
    read = set(batch["input_ids"][batch["attention_mask"] > 0].tolist())
    assert {token for token, one in enumerate(touched.tolist()) if one} == read


def test_what_is_drawn_is_decided_by_seed_step_and_batch_of_the_step(text_processor: Processor) -> None:
    model, now = quiet_model(text_processor), [0]

    def drawn(seed: str, steps: list[int]) -> list[Mixing | None]:
        mixing = mixer(model=model, seed=seed, step=lambda: now[0])
        found = []
        for step in steps:
            now[0] = step
            found.append(mixing.draw(8))
        return found

    whole = drawn("1", [0, 0, 1, 1, 2, 2])
    assert len({str(one) for one in whole}) == 6  # two batches of each step, whose gradients are accumulated
    assert drawn("1", [1, 1, 2, 2]) == whole[2:]  # resumed after the first step
    assert drawn("2", [0, 0]) != whole[:2]  # another process, or run
    for one in whole:
        assert one is not None
        assert 0.5 <= one.share <= 1
        assert sorted(one.partners) == list(range(8))


@pytest.mark.parametrize(("alpha", "low", "high"), [(0.05, 0.9, 1.0), (1.0, 0.73, 0.77), (50.0, 0.5, 0.6)])
def test_alpha_says_how_much_is_mixed(text_processor: Processor, alpha: float, low: float, high: float) -> None:
    steps = iter(range(2000))
    mixing = mixer(alpha, model=quiet_model(text_processor), step=lambda: next(steps))
    shares = [one.share for one in (mixing.draw(2) for _ in range(2000)) if one is not None]
    assert low <= sum(shares) / len(shares) <= high


def test_probability_says_how_many_batches_are_mixed(text_processor: Processor) -> None:
    steps = iter(range(2000))
    mixing = mixer(model=quiet_model(text_processor), probability=0.25, step=lambda: next(steps))
    assert sum(mixing.draw(2) is not None for _ in range(2000)) / 2000 == pytest.approx(0.25, abs=0.04)


def test_a_batch_that_is_not_mixed_is_asked_about_as_usual(text_processor: Processor) -> None:
    model, batch = quiet_model(text_processor), DocumentCollator(text_processor)(TEXTS)
    loss = mixup_loss({"mixup": {"loss": "focal"}}, text_processor, model)
    assert loss.mixer is not None
    loss.mixer.draw = lambda rows: None  # type: ignore[method-assign]
    plain = BatchLoss(Loss.from_spec("focal"), processor=text_processor, model=model, documents=None, device="cpu")
    assert loss(model, batch)[0].item() == plain(model, batch)[0].item()


def test_a_model_that_takes_no_embeddings_is_refused(text_processor: Processor) -> None:
    class Plain(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> None: ...

    with pytest.raises(InvalidSpecError, match=r"'mixup' mixes embeddings, but Plain does not accept inputs_embeds"):
        mixup_loss("mixup", text_processor, Plain())


def test_mixup_with_sharded_weights_is_refused(text_processor: Processor, tmp_path: Path) -> None:
    args = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none")
    trainer = DocumentTrainer(tiny_model(text_processor.task), args, processing_class=text_processor)
    trainer.is_fsdp_enabled = True
    distilled = Loss.from_spec({"mixup": {"loss": {"focal": 1}}})
    with pytest.raises(InvalidSpecError, match=r"'mixup' reads the word embeddings directly, but FSDP .*ddp\.yaml"):
        trainer._make_loss(distilled)
    trainer._make_loss(distilled.inner())


def test_no_processor_takes_mixup(text_processor: Processor) -> None:
    with pytest.raises(UnknownTypeError, match="unknown transform 'mixup'"):
        Processor(text_processor.tokenizer, text_processor.task, [{"mixup": 0.2}])


def with_mixup(run: RunConfig, **training: Any) -> RunConfig:
    content = run.model_dump(exclude_none=True)
    content["training"] |= {"save_strategy": "no", "eval_strategy": "no", **training}
    return RunConfig.model_validate({**content, "loss": {"mixup": {"alpha": 0.4, "probability": 0.8}}})


@pytest.mark.parametrize("kind", ["label_run", "span_run"])
def test_a_run_with_mixup_learns_and_leaves_nothing_of_it_in_the_processor(
    request: pytest.FixtureRequest, kind: str
) -> None:
    run = request.getfixturevalue(kind)
    result = train(with_mixup(run, num_train_epochs=4))
    assert load_config(result.model / "training.yaml").loss == {"mixup": {"alpha": 0.4, "probability": 0.8}}
    assert "mixup" not in (result.model / "processor_config.json").read_text()
    assert result.metrics["test"]["accuracy" if kind == "label_run" else "f1"] > 0.9


def test_a_resumed_run_mixes_what_it_would_have_mixed(label_run: RunConfig, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", label_records("train", 24))

    def trained(resume: str | None) -> dict[str, torch.Tensor]:
        sizes = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "num_train_epochs": 2}
        run = with_mixup(label_run, **sizes, save_strategy="steps", save_steps=2)
        splits = load_splits(run)
        processor = build_processor(run, splits["train"])
        torch.manual_seed(0)  # of the head
        trainer = build_trainer(resolve_config(run, processor=processor, best_metric="f1"), processor, splits)
        trainer.train(resume_from_checkpoint=resume)
        assert trainer.state.global_step == 6
        return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}

    whole = trained(None)
    resumed = trained(str(label_run.folder / "checkpoints" / "checkpoint-4"))
    assert all(torch.equal(weight, resumed[name]) for name, weight in whole.items())
