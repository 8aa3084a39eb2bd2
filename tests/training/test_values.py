"""Gold of the kind `values`: what is learned of it, scored, checked and reported."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from nlp_inference import Annotation, Document, Processor, TextRegression
from nlp_inference.errors import InvalidDocumentError, InvalidSpecError
from nlp_training.data import InvalidDataError, load_documents, split_documents
from nlp_training.data.checks import check_documents
from nlp_training.data.labels import complete_task
from nlp_training.data_report.measure import measure_split
from nlp_training.evaluation import compare, score
from nlp_training.gold import gold_kind
from nlp_training.losses import Asymmetric, CrossEntropy, Huber, MeanSquaredError
from nlp_training.metrics import ValueErrors, ValuesBootstrap
from nlp_training.trainer.batch_loss import BatchLoss


def documents(*values):
    return [
        Document(id=str(number), raw_text=f"text {number}", gold=Annotation(values=of_one))
        for number, of_one in enumerate(values)
    ]


def as_values(numbers, name="score"):
    return [[{"name": name, "value": float(number)}] for number in numbers]


def compute(predictions, references, **options):
    return ValueErrors().compute(predictions=predictions, references=references, **options)


def test_a_task_takes_names_and_scaling_from_its_documents():
    given = documents({"b": 1.0, "a": 2.0}, {"b": 3.0})
    task = complete_task("text-regression", given)
    assert (task.names, task.offsets, task.scales) == (("a", "b"), (2.0, 2.0), (1.0, 1.0))
    task = complete_task({"text-regression": {"names": ["b"], "scaling": "min_max"}}, given)
    assert (task.names, task.offsets, task.scales) == (("b",), (1.0,), (2.0,))
    task = complete_task({"text-regression": {"scaling": "log1p"}}, given)
    assert (task.names, task.offsets, task.scales) == (("a", "b"), None, None)


def test_streamed_data_needs_what_cannot_be_read_before():
    with pytest.raises(InvalidSpecError, match=r"set them: processor.task: \{text-regression: \{offsets: \[...\], sc"):
        complete_task({"text-regression": {"names": ["score"]}}, None)
    settings = {"names": ["score"], "scaling": "none"}
    assert complete_task({"text-regression": settings}, None) == TextRegression(**settings)


def test_scores_are_those_of_scipy():
    random = np.random.default_rng(0)
    gold = random.integers(0, 6, 200).astype(float)  # with ties
    found = np.round(gold + random.normal(size=200), 1)
    scores = compute(as_values(found), as_values(gold))
    errors = found - gold
    expected = {
        "mae": np.abs(errors).mean(),
        "rmse": np.sqrt((errors**2).mean()),
        "r2": 1 - (errors**2).sum() / ((gold - gold.mean()) ** 2).sum(),
        "pearson": pearsonr(found, gold)[0],
        "spearman": spearmanr(found, gold)[0],
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value)
        assert scores["per_value"]["score"][name] == pytest.approx(value)
        low, high = scores["interval"][name]
        assert low < value < high


def test_the_order_of_documents_changes_nothing():
    pairs = list(zip(as_values([1, 2, 4, 4]), as_values([1, 3, 3, 5]), strict=True))
    scores = compute(*zip(*pairs, strict=True))
    assert compute(*zip(*reversed(pairs), strict=True)) == scores


def test_each_value_is_scored_where_gold_has_it():
    found = [[{"name": "a", "value": 1.0}, {"name": "b", "value": 9.0}]] * 2
    gold = [[{"name": "a", "value": 2.0}], [{"name": "a", "value": 1.0}, {"name": "b", "value": 6.0}]]
    scores = compute(found, gold, resamples=0)
    assert (scores["per_value"]["a"]["mae"], scores["per_value"]["b"]["mae"], scores["mae"]) == (0.5, 3.0, 1.75)
    assert (scores["per_value"]["a"]["support"], scores["per_value"]["b"]["support"], scores["support"]) == (2, 1, 3)


def test_what_is_undefined_is_no_number():
    scores = compute(as_values([1, 2]), as_values([3, 3]))
    assert (scores["mae"], scores["per_value"]["score"]["r2"]) == (1.5, None)
    assert not {"r2", "pearson", "spearman"} & {*scores, *scores["interval"]}
    constant = compute(as_values([2, 2]), as_values([1, 3]), resamples=0)
    assert (constant["r2"], constant["pearson"], constant["spearman"]) == (0.0, 0.0, 0.0)
    nothing = compute([[]], as_values([3]))
    assert nothing["per_value"] == {"score": {"support": 0, "missing": 1}}
    assert "mae" not in nothing


def test_two_models_are_compared_by_their_errors():
    gold = as_values(range(20))
    better, worse = as_values(np.arange(20) + 0.1), as_values(np.arange(20) + 1)
    found = ValuesBootstrap().compute(predictions1=worse, predictions2=better, references=gold)
    assert (found["score"], found["documents"]) == ("mae", 20)
    assert found["difference"] == pytest.approx(-0.9)
    assert found["p_value"] < 0.001
    same = ValuesBootstrap().compute(predictions1=worse, predictions2=worse, references=gold)
    assert (same["difference"], same["p_value"]) == (0.0, 1.0)


def test_evaluation_goes_by_the_mean_absolute_error():
    metric = gold_kind("values").metric
    assert (metric.best, metric.greater_is_better("mae"), metric.greater_is_better("pearson")) == ("mae", False, True)
    pairs = [
        (Document(raw_text="a", predicted=Annotation(values={"x": 1.0})), Annotation(values={"x": gold}))
        for gold in (2.0, 4.0)
    ]
    assert score(compare(pairs, needs="values"), needs="values")["mae"] == 2.0


@pytest.mark.parametrize(("loss", "expected"), [(MeanSquaredError(), 2.5), (Huber(delta=1), 1.0)])
def test_values_that_are_not_annotated_give_no_loss(regression_processor, loss, expected):
    class Zeros(torch.nn.Module):
        def forward(self, **inputs):
            return {"logits": torch.zeros(len(inputs["input_ids"]), 2, requires_grad=True)}

    processor = regression_processor
    batch = processor(documents({"stars": 4.5}, {"stars": 0.0, "votes": 10.0}), labels=True, return_tensors="pt")
    batch["labels"] = torch.tensor([[1.0, float("nan")], [float("nan"), -2.0]])
    model = Zeros()
    value, _ = BatchLoss(loss, processor=processor, model=model, documents=None, device="cpu")(model, batch)
    assert value.item() == pytest.approx(expected)


def test_a_loss_of_classes_is_refused(regression_processor):
    for loss in (CrossEntropy(), Asymmetric()):
        with pytest.raises(InvalidSpecError, match="does not read numbers, and the task 'text-regression' learns"):
            BatchLoss(loss, processor=regression_processor, model=torch.nn.Linear(1, 1), documents=None, device="cpu")


def test_bad_gold_is_told_before_training(tmp_path):
    file = tmp_path / "train.csv"
    file.write_text("text,q1,q2\ngood,4,\nbad,much,2\n")
    spec = {"path": str(file), "columns": {"values": {"stars": "q1", "votes": "q2"}}}
    with pytest.raises(InvalidDocumentError, match=r"train.csv:3: stars is 'much'; write a number"):
        load_documents(spec)
    file.write_text("text,q1,q2\ngood,4,\nbad,nan,2\n")
    with pytest.raises(InvalidDocumentError, match=r"train.csv:3: stars is nan; write a number that is finite"):
        load_documents(spec)
    file.write_text("text,q1,q2,label\ngood,4,,x\nbad,-2,2,x\n")
    first, second = load_documents(spec)
    assert (first.gold.values, second.gold.values) == ({"stars": 4.0}, {"stars": -2.0, "votes": 2.0})
    task = TextRegression(names=("stars", "votes"), scaling="log1p")
    with pytest.raises(InvalidDataError, match=r"train.csv:3.* has the value 'stars' -2.0, and scaling 'log1p'"):
        check_documents(
            {"train": [first, second]}, flat=False, needs="values", labels=task.labels, task_problem=task.gold_problem
        )


@pytest.mark.parametrize(
    ("columns", "values", "metadata"),
    [
        ({}, {"score": 3.5}, {"tone": 1}),
        ({"values": ["tone", "score"]}, {"score": 3.5, "tone": 1.0}, {}),
        ({"values": {"similarity": "score"}}, {"similarity": 3.5}, {"tone": 1}),
    ],
)
def test_columns_name_the_numbers(tmp_path, columns, values, metadata):
    file = tmp_path / "train.jsonl"
    file.write_text('{"text_a": "a", "text_b": "b", "score": 3.5, "tone": 1}\n')
    [document] = load_documents({"path": str(file), "columns": columns})
    assert document.gold.values == values
    assert {key: value for key, value in document.metadata.items() if key != "read_from"} == metadata
    assert document.raw_text_pair == "b"


def test_a_column_that_is_not_there_is_named(tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text('{"text": "a", "score": 3.5}\n')
    with pytest.raises(InvalidDocumentError, match="there is no column 'tone' for the value 'clarity'"):
        load_documents({"path": str(file), "columns": {"values": {"clarity": "tone"}}})


def test_the_check_of_data_tells_how_numbers_are_distributed(tokenizer):
    given = documents(*({"score": float(number)} for number in [*range(20), 1000]))
    task = complete_task("text-regression", given)
    measures = measure_split(Processor(tokenizer, task), given)
    found = measures.counts()["values"]["score"]
    assert (found["count"], found["min"], found["50 %"], found["max"]) == (21, 0.0, 10.0, 1000.0)
    assert measures.ceiling["mae"] == pytest.approx(0, abs=1e-9)
    assert measures.lost == []


def test_splits_of_numbers_are_made_by_chance():
    splits = split_documents(
        documents(*({"score": float(number)} for number in range(20))), {"train": 0.8, "test": 0.2}
    )
    assert (len(splits["train"]), len(splits["test"])) == (16, 4)


def test_mistakes_are_the_largest_errors():
    kind = gold_kind("values")
    found, gold = Annotation(values={"a": 3.0, "b": 1.0}), Annotation(values={"a": 1.0, "b": 1.0, "c": 2.0})
    mistakes = [
        (one.name, one.gold.label, one.predicted and one.predicted.score) for one in kind.find_mistakes(found, gold)
    ]
    assert mistakes == [("too high", "a", 2.0), (None, "b", 0.0), ("missed", "c", None)]
