"""Several labels a text in training: class counts, positive weights, heads, balance, refused losses, ranking scores."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score
from tiny_models import tiny_model
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import TrainingArguments

from nlp_inference import Annotation, Category, Document, MultiLabelClassification, Processor, TextClassification
from nlp_inference.errors import InvalidSpecError
from nlp_training import DocumentCollator
from nlp_training.batches.samplers import balancing_weights
from nlp_training.gold import gold_kind
from nlp_training.losses import BinaryCrossEntropy, Items, Loss
from nlp_training.metrics import LabelSetRanking
from nlp_training.testing import check_loss
from nlp_training.trainer.batch_loss import BatchLoss, check_weighting, count_classes
from nlp_training.trainer.head_bias import prior_biases, start_head_at

LABELS = ("joy", "anger", "fear")


def document_of(*labels: str, text: str = "Ana sings", weight: float = 1.0) -> Document:
    gold = Annotation(categories=tuple(Category(label=label) for label in labels))
    return Document(raw_text=text, gold=gold, metadata={"weight": weight})


DOCUMENTS = [document_of("joy", "anger", weight=2), document_of("joy"), document_of(), document_of("joy")]


@pytest.fixture(scope="module")
def processor(tokenizer: Any) -> Processor:
    return Processor(tokenizer, MultiLabelClassification(labels=LABELS))


def batch_loss(spec: Any, processor: Processor, documents: Any = None) -> tuple[BatchLoss, torch.nn.Module]:
    model = tiny_model(processor.task)
    loss = BatchLoss(Loss.from_spec(spec), processor=processor, model=model, documents=documents, device="cpu")
    return loss, model


def test_classes_are_counted_where_they_are_present(processor: Processor) -> None:
    assert count_classes(processor, DOCUMENTS).tolist() == [3, 1, 0]


def test_binary_cross_entropy_is_the_loss_that_models_of_transformers_have(processor: Processor) -> None:
    loss, model = batch_loss("binary_cross_entropy", processor)
    batch = DocumentCollator(processor)(DOCUMENTS)
    assert batch["labels"].dtype == torch.float32
    assert loss(model, batch)[0].item() == pytest.approx(model(**batch).loss.item(), rel=1e-6)


def test_class_weights_are_the_positive_weights_of_pytorch(processor: Processor) -> None:
    loss, model = batch_loss({"binary_cross_entropy": {"class_weights": "inverse_frequency"}}, processor, DOCUMENTS)
    batch = DocumentCollator(processor)(DOCUMENTS)
    weights = torch.tensor([4 / (2 * 3), 4 / (2 * 1), 0.0])  # 4 labels in all, of 2 classes that occur
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    expected = binary_cross_entropy_with_logits(model(**inputs)["logits"], batch["labels"], pos_weight=weights)
    assert loss(model, batch)[0].item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_weight_counts_as_so_many_documents(processor: Processor) -> None:
    loss, model = batch_loss({"binary_cross_entropy": {"class_weights": "inverse_frequency"}}, processor, DOCUMENTS)
    by_weight, _ = loss(model, DocumentCollator(processor, "weight")(DOCUMENTS))
    by_number, _ = loss(model, DocumentCollator(processor)([*DOCUMENTS, DOCUMENTS[0]]))
    assert by_weight.item() == pytest.approx(by_number.item(), rel=1e-5)


def test_label_smoothing_moves_both_targets_to_the_middle() -> None:
    items = Items(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
    expected = binary_cross_entropy_with_logits(items.logits, torch.tensor([0.95, 0.05]), reduction="none")
    assert torch.allclose(BinaryCrossEntropy(label_smoothing=0.1).values(items), expected)


@pytest.mark.parametrize("class_weights", [None, {"effective_number": 0.9}])
def test_the_loss_obeys_the_laws(class_weights: Any) -> None:
    check_loss(BinaryCrossEntropy(label_smoothing=0.1 if class_weights else 0.0, class_weights=class_weights))


@pytest.mark.parametrize(
    "spec", ["cross_entropy", {"focal": {"class_weights": "inverse_frequency"}}, "r_drop"], ids=str
)
def test_a_loss_of_one_class_is_refused_before_training(processor: Processor, spec: Any) -> None:
    with pytest.raises(InvalidSpecError, match="reads the id of one class, but the targets of the task 'multi-label-"):
        batch_loss(spec, processor, DOCUMENTS)


def test_label_smoothing_of_the_trainer_is_refused(processor: Processor, tmp_path: Any) -> None:
    args = TrainingArguments(output_dir=str(tmp_path), label_smoothing_factor=0.1, use_cpu=True)
    with pytest.raises(InvalidSpecError, match=r"smooth in the loss: loss: {binary_cross_entropy: {label_smoothing"):
        check_weighting(args, task=processor.task, has_loss=False)


def test_balance_draws_documents_by_their_rarest_label() -> None:
    assert balancing_weights(DOCUMENTS, needs="categories", power=1.0) == [1.0, 1 / 3, 1.0, 1 / 3]


def test_a_new_head_starts_at_the_frequencies_of_the_labels(processor: Processor) -> None:
    model = tiny_model(processor.task)
    before = model.classifier.bias.tolist()
    bias = prior_biases(processor.task, DOCUMENTS)[""]
    assert bias is not None
    assert bias.tolist() == pytest.approx(np.log([3.5 / 1.5, 1.5 / 3.5, 0.5 / 4.5]).tolist())
    start_head_at(model, bias, missing=["classifier.weight"])  # the bias was loaded
    assert model.classifier.bias.tolist() == before
    start_head_at(model, bias, missing=["classifier.weight", "classifier.bias"])
    assert model.classifier.bias.tolist() == bias.tolist()


def test_other_tasks_keep_the_head_of_their_model() -> None:
    assert prior_biases(TextClassification(labels=LABELS), DOCUMENTS) == {}


def predicted(scores: dict[str, float]) -> Document:
    return Document(raw_text="", predicted=Annotation(label_scores=scores))


def test_ranking_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    scores, gold = random.random((40, 3)), random.random((40, 3)) < 0.3
    predictions = [[{"label": label, "score": one} for label, one in zip(LABELS, row, strict=True)] for row in scores]
    references = [[label for label, wanted in zip(LABELS, row, strict=True) if wanted] for row in gold]
    found = LabelSetRanking().compute(predictions=predictions, references=references)
    means = np.mean([average_precision_score(gold[:, index], scores[:, index]) for index in range(3)])
    assert found["micro_average_precision"] == pytest.approx(average_precision_score(gold.ravel(), scores.ravel()))
    assert found["macro_average_precision"] == pytest.approx(means)
    assert found["lrap"] == pytest.approx(label_ranking_average_precision_score(gold, scores))


def test_a_label_that_no_document_has_is_no_part_of_the_mean_and_an_unknown_one_ranks_last() -> None:
    rows = [[{"label": "joy", "score": 0.9}, {"label": "anger", "score": 0.2}]] * 2
    found = LabelSetRanking().compute(predictions=rows, references=[["joy"], ["joy", "hope"]])
    assert found["macro_average_precision"] == 0.75
    assert found["lrap"] == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)


def test_without_the_scores_of_all_labels_there_is_no_ranking() -> None:
    found = LabelSetRanking().compute(predictions=[[], []], references=[["joy"], []])
    assert found == {"micro_average_precision": None, "macro_average_precision": None, "lrap": None}


def test_calibration_is_that_of_all_labels_where_their_scores_are_known() -> None:
    calibration = gold_kind("categories").metric.further["calibration"]
    gold = Annotation(categories=(Category(label="anger"),))
    assert calibration.view(predicted({"joy": 0.9, "anger": 0.2}), gold) == ([0.9, 0.2], [0, 1])
