"""A loss at work on batches: ignored targets, weights, states, two passes, teachers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_model
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from nlp_inference import Document, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.encoding.input_rows import IGNORED
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_training import DocumentCollator
from nlp_training.batches.sample_weights import RowWeights, check_sample_weights
from nlp_training.batches.samplers import epoch_order
from nlp_training.batches.window_dataset import TrainingWindows, row_lengths
from nlp_training.losses import Items, Loss
from nlp_training.trainer.batch_loss import BatchLoss, count_classes

CLASS_LOSSES = ["cross_entropy", {"cross_entropy": 0.1}, "focal", "dice", {"supervised_contrastive": {"mix": 0.5}}]


class Answers(torch.nn.Module):
    """A model that answers what it was given, whatever it is asked."""

    def __init__(self, logits: torch.Tensor, states: torch.Tensor | None = None) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)
        self.states = torch.zeros(*logits.shape[:-1], 3) if states is None else states

    def forward(self, **inputs: Any) -> dict[str, Any]:
        return {"logits": self.logits, "hidden_states": (None, self.states)}


def batch_loss(spec: Any, processor: Processor, model: torch.nn.Module, documents: Any = None) -> BatchLoss:
    return BatchLoss(Loss.from_spec(spec), processor=processor, model=model, documents=documents, device="cpu")


def token_batch(labels: list[list[int]]) -> dict[str, torch.Tensor]:
    ids = torch.ones(len(labels), len(labels[0]), dtype=torch.int64)
    return {"input_ids": ids, "attention_mask": ids, "token_type_ids": ids, "labels": torch.tensor(labels)}


def spans(text: str, *found: tuple[str, str], weight: float = 1.0) -> Document:
    gold = [{"start": text.index(one), "end": text.index(one) + len(one), "label": label} for one, label in found]
    return Document(raw_text=text, gold={"spans": gold}, metadata={"weight": weight})


def category(text: str, label: str, weight: float = 1.0) -> Document:
    return Document(raw_text=text, gold={"categories": [{"label": label}]}, metadata={"weight": weight})


SPANS = [
    spans("Ana lives in Rome", ("Ana", "PERSON"), ("Rome", "CITY"), weight=2),
    spans("Nobody is here", weight=1),
    spans("Bo, who is not Ana, left", ("Bo", "PERSON"), ("Ana", "PERSON"), weight=3),
]
CATEGORIES = [
    category("Buy now", "spam", weight=2),
    category("How are you, and how is your sister in Rome?", "ham", weight=0.5),
    category("See you", "ham", weight=0),
    category("Cheap, cheap, cheap", "spam", weight=1),
]


@pytest.mark.parametrize("spec", CLASS_LOSSES, ids=str)
def test_what_is_ignored_has_no_part_in_value_or_slope(spec: Any, token_processor: Processor) -> None:
    labels = [[IGNORED, 1, 0, IGNORED], [2, IGNORED, 1, 3]]
    kept = torch.tensor(labels) != IGNORED
    logits, states = torch.randn(2, 4, 5), torch.randn(2, 4, 3)
    expected = Loss.from_spec(spec).values(Items(logits[kept], torch.tensor(labels)[kept], states=states[kept])).mean()
    logits[~kept] = torch.nan
    states[~kept] = torch.nan
    model = Answers(logits, states)
    value, _ = batch_loss(spec, token_processor, model)(model, token_batch(labels))
    value.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert model.logits.grad is not None
    assert (model.logits.grad[~kept] == 0).all()
    assert model.logits.grad[kept].abs().sum() > 0


@pytest.mark.parametrize("spec", CLASS_LOSSES, ids=str)
def test_a_batch_without_targets_costs_nothing(spec: Any, token_processor: Processor) -> None:
    model = Answers(torch.randn(1, 3, 5))
    value, _ = batch_loss(spec, token_processor, model)(model, token_batch([[IGNORED] * 3]))
    value.backward()
    assert value.item() == 0
    assert model.logits.grad is not None
    assert not model.logits.grad.any()


@pytest.mark.parametrize("documents", [SPANS, CATEGORIES], ids=["tokens", "texts"])
def test_cross_entropy_is_the_loss_that_models_of_transformers_have(
    documents: list[Document], token_processor: Processor, text_processor: Processor
) -> None:
    processor = token_processor if documents is SPANS else text_processor
    model = tiny_model(processor.task)
    batch = DocumentCollator(processor)(documents)
    value, outputs = batch_loss("cross_entropy", processor, model)(model, batch)
    own = model(**batch)
    assert value.item() == pytest.approx(own.loss.item(), rel=1e-6)
    assert torch.equal(outputs["logits"], own.logits)


@pytest.mark.parametrize("documents", [SPANS, CATEGORIES], ids=["tokens", "texts"])
def test_a_weight_counts_as_so_many_documents(
    documents: list[Document], token_processor: Processor, text_processor: Processor
) -> None:
    processor = token_processor if documents is SPANS else text_processor
    model = tiny_model(processor.task)
    loss = batch_loss({"focal": 1}, processor, model)
    repeated = [one for one in documents for _ in range(int(2 * one.metadata["weight"]))]
    by_weight, _ = loss(model, DocumentCollator(processor, "weight")(documents))
    by_number, _ = loss(model, DocumentCollator(processor)(repeated))
    assert by_weight.item() == pytest.approx(by_number.item(), rel=1e-5)


def test_parts_of_a_step_add_up_to_the_step(token_processor: Processor) -> None:
    model = tiny_model(token_processor.task)
    collate = DocumentCollator(token_processor, "weight")
    rule = {"cross_entropy": {"label_smoothing": 0.1, "class_weights": "inverse_frequency"}}
    loss = batch_loss(rule, token_processor, model, SPANS)
    whole, _ = loss(model, collate(SPANS))
    parts = [collate(SPANS[:1]), collate(SPANS[1:])]
    total = loss.total_weight(parts)
    assert sum(loss(model, part, total)[0].item() for part in parts) == pytest.approx(whole.item(), rel=1e-5)
    weights = loss.class_weights
    assert weights is not None
    assert total.item() == pytest.approx(
        sum(
            sample * float(weights[label])
            for sample, row in zip((2, 1, 3), collate(SPANS)["labels"].tolist(), strict=True)
            for label in row
            if label != IGNORED
        )
    )


def test_classes_are_counted_in_all_windows_of_all_documents(token_processor: Processor) -> None:
    long = spans("Ana sings. " * 30, ("Ana", "PERSON"))
    rows = token_processor([long], labels=True)["labels"]
    assert len(rows) > 5
    expected = [int((rows == tag).sum()) for tag in range(5)]
    assert count_classes(token_processor, [long] * 300).tolist() == [300 * count for count in expected]
    assert expected[1] == 1


def test_class_weights_need_documents_to_count(text_processor: Processor) -> None:
    with pytest.raises(InvalidSpecError, match="class_weights is 'inverse_frequency', but there are no training"):
        batch_loss({"focal": {"class_weights": "inverse_frequency"}}, text_processor, tiny_model(text_processor.task))


def test_r_drop_compares_two_passes_with_other_dropout(text_processor: Processor) -> None:
    model = tiny_model(text_processor.task).train()
    batch = DocumentCollator(text_processor)(CATEGORIES)
    torch.manual_seed(3)
    value, _ = batch_loss({"r_drop": 2}, text_processor, model)(model, batch)
    torch.manual_seed(3)
    both = model(**{name: torch.cat([one, one]) for name, one in batch.items() if name != "labels"}).logits
    assert not torch.allclose(both[:4], both[4:])
    a, b = both.log_softmax(-1).split(4)
    divergence = functional.kl_div(a, b, log_target=True, reduction="batchmean") + functional.kl_div(
        b, a, log_target=True, reduction="batchmean"
    )
    labels = batch["labels"]
    entropy = (functional.cross_entropy(both[:4], labels) + functional.cross_entropy(both[4:], labels)) / 2
    assert value.item() == pytest.approx((entropy + 2 * divergence / 2).item(), rel=1e-5)


def test_r_drop_without_dropout_is_refused(text_processor: Processor) -> None:
    model = tiny_model(text_processor.task)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    with pytest.raises(InvalidSpecError, match=r"'r_drop' compares two passes.*hidden_dropout_prob"):
        batch_loss("r_drop", text_processor, model)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_the_state_of_a_row_is_pooled_over_its_tokens_and_no_padding(text_processor: Processor, pooling: str) -> None:
    model = tiny_model(text_processor.task)
    collate = DocumentCollator(text_processor)
    alone = [model(**collate([one]), output_hidden_states=True).hidden_states[-1][0] for one in CATEGORIES]
    states = torch.stack([one.mean(0) if pooling == "mean" else one[0] for one in alone])
    batch = collate(CATEGORIES)
    loss = batch_loss({"supervised_contrastive": {"mix": 1, "pooling": pooling}}, text_processor, model)
    value, outputs = loss(model, batch)
    expected = loss.loss.values(Items(outputs["logits"], batch["labels"], states=states)).mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_teacher_says_what_it_says_in_production(saved_model: Path, token_processor: Processor) -> None:
    batch = DocumentCollator(token_processor)(SPANS)
    student = Answers(torch.zeros(*batch["labels"].shape, 5))
    loss = batch_loss(
        {"distillation": {"teacher": str(saved_model), "temperature": 1, "mix": 1}}, token_processor, student
    )
    value, _ = loss(student, batch)
    backend = Predictor.from_pretrained(saved_model, device="cpu").backend
    said = torch.from_numpy(backend.forward({k: v.numpy() for k, v in batch.items() if k != "labels"})["logits"])
    kept = said[batch["labels"] != IGNORED].log_softmax(-1)
    expected = (kept.exp() * (kept - np.log(1 / 5))).sum(-1).mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("other", ["labels", "task", "tokenizer", "length"])
def test_a_teacher_that_does_not_fit_is_refused(
    saved_model: Path, tokenizer: PreTrainedTokenizerBase, token_processor: Processor, other: str
) -> None:
    cased = AutoTokenizer.from_pretrained(tokenizer.name_or_path, do_lower_case=False)
    longer = AutoTokenizer.from_pretrained(tokenizer.name_or_path, model_max_length=1024)
    student = {
        "labels": Processor(tokenizer, TokenClassification(labels=("CITY", "PERSON"))),
        "task": Processor(tokenizer, TextClassification(labels=("ham", "spam"))),
        "tokenizer": Processor(cased, token_processor.task),
        "length": Processor(longer, token_processor.task),
    }[other]
    message = {
        "labels": "with the classes .*'B-PERSON'.* the student is a model for 'token-classification' with .*'B-CITY'",
        "task": "a model for 'token-classification'.* the student is a model for 'text-classification'",
        "tokenizer": "another tokenizer than the student",
        "length": "reads at most 512 tokens, but the student's rows have up to 1024; set .*max_length to 512",
    }[other]
    with pytest.raises(InvalidSpecError, match=message):
        batch_loss({"distillation": str(saved_model)}, student, Answers(torch.zeros(1, 1, 5)))


def test_several_labels_a_text(text_processor: Processor) -> None:
    labels = torch.tensor([[1.0, 0.0, 0.0], [float(IGNORED), 1.0, 0.0]])
    batch = {**token_batch([[0], [0]]), "labels": labels}
    model = Answers(torch.randn(2, 3))
    value, _ = batch_loss({"asymmetric": {"gamma_negative": 0, "margin": 0}}, text_processor, model)(model, batch)
    kept = labels != IGNORED
    expected = functional.binary_cross_entropy_with_logits(model.logits[kept], labels[kept])
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    with pytest.raises(InvalidSpecError, match=r"'focal' reads targets that are the id of one class.*float32"):
        batch_loss("focal", text_processor, model)(model, batch)
    with pytest.raises(InvalidSpecError, match="'asymmetric' reads targets that are 0 or 1 for each label"):
        batch_loss("asymmetric", text_processor, model)(model, {**batch, "labels": torch.tensor([0, 1])})


def test_targets_without_labels_are_named(text_processor: Processor) -> None:
    model = Answers(torch.zeros(1, 3))
    batch = token_batch([[0]])
    batch["start_positions"] = batch.pop("labels")
    with pytest.raises(InvalidSpecError, match=r"start_positions.*a loss reads 'labels'"):
        batch_loss("focal", text_processor, model)(model, batch)


def test_every_window_has_the_weight_of_its_document(token_processor: Processor) -> None:
    long = spans("Ana sings. " * 30, ("Ana", "PERSON"), weight=0.25)
    documents = [SPANS[0], long, SPANS[2]]
    windows = TrainingWindows(
        documents,
        token_processor,
        [row_lengths(one) for one in token_processor.encode(documents)],
        weights=RowWeights("weight"),
    )
    collate = DocumentCollator(token_processor, "weight")
    by_window = collate([windows[index] for index in range(len(windows))])
    by_document = collate(documents)
    assert by_window["sample_weight"].tolist() == [2.0, *[0.25] * (len(windows) - 2), 3.0]
    assert by_window["sample_weight"].dtype == torch.float32
    assert {name: one.tolist() for name, one in by_window.items()} == {
        name: one.tolist() for name, one in by_document.items()
    }


@pytest.fixture
def windowed(text_processor: Processor) -> list[Document]:
    documents = [category("a", "ham", 0), category("b", "spam", 1), category("c " * 200, "ham", 2)]
    assert [len(one.windows) for one in text_processor.encode(documents)][:2] == [1, 1]
    return documents


def windows_of(documents: list[Document], processor: Processor, **settings: Any) -> TrainingWindows:
    lengths = [row_lengths(one) for one in processor.encode(documents)]
    return TrainingWindows(documents, processor, lengths, **settings)


def test_the_windows_of_a_document_share_the_weight_of_one_row(
    windowed: list[Document], text_processor: Processor
) -> None:
    windows = windows_of(windowed, text_processor, weights=RowWeights(by_document=True))
    count = len(windows) - 2
    assert count > 3
    collate = DocumentCollator(text_processor, weigh_windows=True)
    batch = collate([windows[index] for index in range(len(windows))])
    assert batch["window_weight"].tolist() == pytest.approx([1, 1, *[1 / count] * count])
    assert collate(windowed)["window_weight"].tolist() == batch["window_weight"].tolist()


def test_a_long_document_counts_as_much_as_a_short_one(windowed: list[Document], text_processor: Processor) -> None:
    windows = windows_of(windowed, text_processor, weights=RowWeights(by_document=True))
    collate = DocumentCollator(text_processor, weigh_windows=True)
    batch = collate([windows[index] for index in range(len(windows))])
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(len(windows), 3)
    loss = batch_loss("cross_entropy", text_processor, Answers(logits))
    loss.window_scale = len(windows) / len(windowed)
    of_rows = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none")
    value, _ = loss(Answers(logits), batch)
    assert value.item() == pytest.approx(torch.stack([of_rows[0], of_rows[1], of_rows[2:].mean()]).mean().item())


def test_an_epoch_has_some_windows_of_each_document(windowed: list[Document], text_processor: Processor) -> None:
    windows = windows_of(windowed, text_processor, per_document=2)
    epochs = [
        list(epoch_order(windows, step_rows=rows, seed=0, epoch=lambda number=number: number))
        for number in range(8)
        for rows in (None, 4)
    ]
    assert all(len(one) == len(set(one)) == 4 for one in epochs)
    assert all({0, 1} < set(one) for one in epochs)
    assert len({index for one in epochs for index in one}) > 4
    assert epochs[0] == list(epoch_order(windows, step_rows=None, seed=0, epoch=lambda: 0))


def test_beside_labels_and_weights_the_batch_is_the_one_of_production(token_processor: Processor) -> None:
    batch = DocumentCollator(token_processor, "weight")(SPANS)
    served = token_processor([document.unannotated() for document in SPANS])
    assert list(batch) == [*served, "labels", "sample_weight"]
    assert all(np.array_equal(batch[name].numpy(), served[name]) for name in served)


@pytest.mark.parametrize("weight", [-1, "2", None, True])
def test_what_is_no_weight_is_named(weight: Any) -> None:
    document = Document(id="d3", raw_text="x", metadata={"weight": weight})
    with pytest.raises(InvalidDocumentError, match=r"document 'd3': its metadata has .* under 'weight'"):
        check_sample_weights([document], "weight")
    with pytest.raises(InvalidDocumentError, match="'d3': its metadata has None under 'other'"):
        check_sample_weights([document], "other")


def test_some_document_must_count() -> None:
    with pytest.raises(InvalidDocumentError, match="all 2 training documents have the weight 0"):
        check_sample_weights([category("a", "ham", 0), category("b", "ham", 0)], "weight")
