"""Ordered labels in training: metrics, the order of labels, the CORN loss, mistakes, and a run."""

from io import StringIO

import numpy as np
import pytest
import torch
from made_up_records import NAMES, write_splits
from rich.console import Console
from sklearn.metrics import accuracy_score, cohen_kappa_score, mean_absolute_error
from torch.nn.functional import logsigmoid
from typer.testing import CliRunner

from nlp_inference import Annotation, Category, Document, OrdinalRegression, Predictor
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError, NlpInferenceError
from nlp_training import RunConfig, train
from nlp_training.cli import app as training
from nlp_training.data.labels import complete_task
from nlp_training.gold import gold_kind
from nlp_training.losses import Corn
from nlp_training.metrics import RankErrors
from nlp_training.trainer.batch_loss import BatchLoss


def ranks(numbers):
    return [{"label": str(number), "rank": int(number)} for number in numbers]


def test_kappa_and_error_are_those_of_scikit_learn():
    random = np.random.default_rng(3)
    gold = random.integers(0, 5, 200)
    found = np.clip(gold + random.integers(-1, 3, 200), 0, 4)
    scores = RankErrors().compute(predictions=ranks(found), references=ranks(gold))
    assert scores["quadratic_kappa"] == pytest.approx(cohen_kappa_score(gold, found, weights="quadratic"))
    assert scores["rank_mae"] == pytest.approx(mean_absolute_error(gold, found))
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold, found))
    for name in ("quadratic_kappa", "rank_mae", "accuracy"):
        low, high = scores["interval"][name]
        assert low < scores[name] < high


def test_an_unknown_rank_is_wrong_and_has_no_distance():
    unknown = [{"label": "", "rank": -1}]
    scores = RankErrors().compute(predictions=[*ranks([0, 1]), *unknown], references=ranks([0, 2, 2]), resamples=0)
    assert (scores["accuracy"], scores["rank_mae"]) == (pytest.approx(1 / 3), 0.5)
    assert RankErrors().compute(predictions=ranks([1, 1]), references=ranks([1, 1]))["quadratic_kappa"] == 1.0
    assert RankErrors().compute(predictions=unknown, references=ranks([1]))["rank_mae"] == 0.0


def rated(*labels):
    golds = [
        {"categories": [{"label": label}]} if isinstance(label, str) else {"values": {"score": label}}
        for label in labels
    ]
    return [Document(raw_text="good", gold=gold) for gold in golds]


def test_numbers_have_an_order_and_names_must_state_it():
    assert complete_task("ordinal-regression", rated("10", "9", "2")).labels == ("2", "9", "10")
    assert complete_task("ordinal-regression", rated(5.0, 1.0, 2.5)).labels == ("1", "2.5", "5")
    with pytest.raises(InvalidSpecError, match=r"labels high, low are not all numbers, so their order is unknown"):
        complete_task("ordinal-regression", rated("low", "high"))


def test_the_loss_is_that_of_corn(ordinal_processor):
    """The sum over the conditional sets, divided by their sizes together, computed label by label."""
    batch = ordinal_processor(rated("ham", "spam", "news"), labels=True, return_tensors="pt")
    logits = torch.tensor([[0.3, -1.0], [0.8, 0.1], [-0.4, 1.5]])
    loss = BatchLoss(Corn(), processor=ordinal_processor, model=torch.nn.Linear(1, 1), documents=None, device="cpu")
    value, _ = loss(lambda **_: {"logits": logits}, batch)
    first = -logsigmoid(torch.tensor([-0.3, 0.8, -0.4])).sum()  # all documents: is it above `ham`?
    second = -logsigmoid(torch.tensor([-0.1, 1.5])).sum()  # those that are: is it above `spam`?
    assert float(value) == pytest.approx(float(first + second) / 5, abs=1e-6)


def predicted(label):
    categories = () if label is None else (Category(label=label),)
    return Annotation(categories=categories, label_scores={"low": 0.2, "medium": 0.5, "high": 0.3})


@pytest.mark.parametrize(
    ("found", "gold", "mistake"),
    [
        ("low", "low", None),
        ("high", "low", "too high"),
        ("low", "high", "too low"),
        ("low", "huge", "wrong label"),
        (None, "low", "missed"),
    ],
)
def test_mistakes_have_a_direction(found, gold, mistake):
    [one] = gold_kind("rank").find_mistakes(predicted(found), Annotation(categories=(Category(label=gold),)))
    assert one.name == mistake


WORDS = {"bad": 1, "fair": 2, "good": 4}


def rating_records(prefix, size):
    words = list(WORDS)
    return [
        {"id": f"{prefix}-{index}", "text": f"{words[index % 3]} {NAMES[index % 6]}", "score": WORDS[words[index % 3]]}
        for index in range(size)
    ]


def run_of(folder, base, records, **more):
    settings = {"num_train_epochs": 8, "learning_rate": 0.01, "per_device_train_batch_size": 8, "bf16": False}
    return RunConfig.model_validate(
        {
            "name": "ranks",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(base)},
            "data": write_splits(folder, records),
            "processor": {"task": "ordinal-regression"},
            "training": settings,
            "calibrate": True,
            **more,
        }
    )


def test_a_run_predicts_ranks_and_is_verified_and_exported(tmp_path, tiny_base):
    result = train(run_of(tmp_path, tiny_base, rating_records), console=Console(file=StringIO()))
    assert result.metrics["test"]["quadratic_kappa"] > 0.9
    assert result.metrics["validation"]["fitted"] == ["temperature"]
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
    found = Predictor.from_pretrained(result.model, backend="onnx").predict(["bad Bo", "fair Bo", "good Bo"])
    assert [document.predicted.categories[0].label for document in found] == ["1", "2", "4"]
    assert list(found[0].predicted.label_scores) == ["1", "2", "4"]
    reported = CliRunner().invoke(training, ["report", str(result.model.parent)])
    assert reported.exit_code == 0, reported.output


def test_a_rank_that_the_task_does_not_know_is_named_before_training(tmp_path, tiny_base):
    processor = {"task": {"ordinal-regression": {"labels": [1, 2, 3]}}}
    with pytest.raises(NlpInferenceError, match="the label '4' is not among the labels of the task"):
        train(run_of(tmp_path, tiny_base, rating_records, processor=processor), console=Console(file=StringIO()))


def test_the_task_has_stock_settings():
    settings = OrdinalRegression(labels=("a", "b", "c")).model_settings()
    assert (settings["num_labels"], settings["problem_type"]) == (2, "multi_label_classification")
