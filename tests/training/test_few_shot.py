"""Training from a few documents per label: the head, the pairs, and a run with each kind of encoder."""

from io import StringIO
from random import Random

import numpy as np
import pytest
import torch
from made_up_records import label_records, label_set_records, span_records, write_jsonl
from rich.console import Console
from sklearn.linear_model import LogisticRegression, Ridge
from typer.testing import CliRunner

from nlp_inference import Predictor
from nlp_inference.architectures import AutoModelForPooledSequenceClassification
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training
from nlp_training.trainer.few_shot import LabeledExample, contrastive_batches, positives
from nlp_training.trainer.linear_head import fit_head


def made_features(rows=60, size=5):
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, size))
    return features / np.linalg.norm(features, axis=1, keepdims=True), random


def test_a_head_of_classes_is_the_logistic_regression_of_scikit_learn():
    features, random = made_features()
    classes = random.integers(0, 3, len(features))
    head = fit_head(
        torch.tensor(features), torch.tensor(classes), labels=3, problem_type="single_label_classification", l2=0.5
    )
    expected = LogisticRegression(C=2.0, tol=1e-8, max_iter=1000).fit(features, classes)
    found = torch.tensor(features).float() @ head.weight.T + head.bias
    np.testing.assert_allclose(found.softmax(dim=1), expected.predict_proba(features), atol=1e-4)


def test_a_head_of_labels_leaves_out_what_is_not_annotated():
    features, random = made_features()
    present = random.integers(0, 2, (len(features), 2)).astype(np.float32)
    present[::3, 1] = np.nan
    head = fit_head(
        torch.tensor(features), torch.tensor(present), labels=2, problem_type="multi_label_classification", l2=1.0
    )
    for label in range(2):
        known = ~np.isnan(present[:, label])
        expected = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(features[known], present[known, label])
        np.testing.assert_allclose(head.weight[label], expected.coef_[0], atol=1e-3)


def test_a_head_of_numbers_is_a_ridge_regression():
    features, random = made_features()
    numbers = random.normal(size=(len(features), 1)).astype(np.float32)
    head = fit_head(torch.tensor(features), torch.tensor(numbers).double(), labels=1, problem_type="regression", l2=2.0)
    expected = Ridge(alpha=1.0).fit(features, numbers[:, 0])
    np.testing.assert_allclose(head.weight[0], expected.coef_, atol=1e-4)


def test_features_of_another_length_give_the_same_predictions():
    features, random = made_features()
    classes = torch.tensor(random.integers(0, 3, len(features)))
    logits = []
    for scale in (1.0, 20.0):
        scaled = torch.tensor(features) * scale
        head = fit_head(scaled, classes, labels=3, problem_type="single_label_classification", l2=1.0)
        logits.append(scaled.float() @ head.weight.T + head.bias)
    torch.testing.assert_close(logits[0], logits[1], atol=1e-3, rtol=0)


def examples_of(*labels):
    return [LabeledExample(None, frozenset(one)) for one in labels]


def test_every_example_has_a_partner_with_a_common_label():
    examples = examples_of("a", "ab", "b", "c", "")
    [batch] = contrastive_batches(examples, size=16, random=Random(0))  # noqa: S311
    pairs = list(zip(batch[::2], batch[1::2], strict=True))
    assert sorted(map(id, batch[::2])) == sorted(map(id, examples))
    assert all(one.labels & other.labels for one, other in pairs if one.labels)
    assert all(one is other for one, other in pairs if one.labels in (frozenset("c"), frozenset()))
    assert [len(one) for one in contrastive_batches(examples, size=4, random=Random(0))] == [4, 4, 2]  # noqa: S311


def test_rows_with_a_common_label_are_positive():
    one, other, third = examples_of("a", "ab", "")
    assert positives([one, other, third]).tolist() == [[True, True, False], [True, True, False], [False, False, True]]


def run_of(folder, base, records, **more):
    return RunConfig.model_validate(
        {
            "name": "few",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": {
                "train": str(write_jsonl(folder / "train.jsonl", records("train", 12))),
                "validation": str(write_jsonl(folder / "validation.jsonl", records("validation", 6))),
                "test": str(write_jsonl(folder / "test.jsonl", records("test", 8))),
            },
            "processor": {"task": "text-classification"},
            "few_shot": {},
            "training": {"bf16": False, "learning_rate": 1e-3, "per_device_train_batch_size": 8},
            **more,
        }
    )


@pytest.fixture(scope="module")
def result(tiny_base, tmp_path_factory):
    return train(run_of(tmp_path_factory.mktemp("few"), tiny_base, label_records), console=Console(file=StringIO()))


def test_a_run_tunes_the_encoder_and_is_verified_and_exported(result):
    assert result.metrics["test"]["accuracy"] == 1.0
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
        predictor = Predictor.from_pretrained(result.model, backend=backend)
        [category] = predictor.predict(["Goodbye now Ana"])[0].predicted.categories
        assert category.label == "farewell"


def test_the_saved_model_is_a_classifier_on_the_mean_of_all_tokens(result):
    model = AutoModelForPooledSequenceClassification.from_pretrained(result.model)
    assert type(model).__name__ == "BertForPooledSequenceClassification"
    inputs = {"input_ids": torch.tensor([[101, 7592, 102, 0, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0, 0]])}
    padded = model(**inputs).logits
    alone = model(**{name: tensor[:, :3] for name, tensor in inputs.items()}).logits
    torch.testing.assert_close(padded, alone, atol=1e-5, rtol=0)


def test_a_frozen_encoder_keeps_its_weights(tmp_path, tiny_base):
    run = run_of(tmp_path, tiny_base, label_set_records, few_shot={"encoder": "frozen", "l2": 0.01})
    run = run.model_copy(update={"processor": run.processor.model_copy(update={"task": "multi-label-classification"})})
    found = train(run, console=Console(file=StringIO()))
    assert found.metrics["test"]["micro_average_precision"] > 0.6
    base = AutoModelForPooledSequenceClassification.from_pretrained(tiny_base, num_labels=2)
    saved = AutoModelForPooledSequenceClassification.from_pretrained(found.model)
    for one, other in zip(base.base_model.parameters(), saved.base_model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"processor": {"task": "token-classification"}},
            "the task 'token-classification' has no head for the complete",
        ),
        ({"processor": {"task": "text-regression"}}, "'text-regression' has numbers; set few_shot: {encoder: frozen}"),
    ],
)
def test_a_task_that_it_does_not_suit_is_refused(tmp_path, tiny_base, more, said):
    records = span_records if "token" in said else rated_records
    with pytest.raises(InvalidSpecError, match=said):
        train(run_of(tmp_path, tiny_base, records, **more), console=Console(file=StringIO()))


def rated_records(prefix, size):
    return [{**one, "score": float(len(one.pop("label")))} for one in label_records(prefix, size)]


def test_sections_that_would_be_ignored_are_refused(tmp_path, tiny_base):
    with pytest.raises(ValueError, match="few_shot does not read loss, augment; remove it"):
        run_of(tmp_path, tiny_base, label_records, loss="focal", augment=["keyboard_typos"])
