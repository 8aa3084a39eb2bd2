"""Relations go the whole route: data, training, report, export, verification, prediction."""

import subprocess
import sys
from io import StringIO

import pytest
from made_up_records import relation_records, write_jsonl, write_splits
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Document, Predictor, Relation, Span
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidSpecError, NlpInferenceError, PredictionError
from nlp_training import RunConfig, read_jsonl, train
from nlp_training.cli import app as training
from nlp_training.data.errors import DataWarning
from nlp_training.data_report.check import check_data
from nlp_training.evaluation import evaluate_documents
from nlp_training.evaluation.fitting import with_task
from nlp_training.gold import Relations

TEXT = "Dov of Lima met Ana of Oslo"
LIVES_IN = Relation(head=0, tail=1, label="lives_in")


@pytest.fixture(scope="module")
def run(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("relations")
    return RunConfig.model_validate(
        {
            "name": "relations",
            "output_dir": str(folder / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": write_splits(folder, relation_records),
            "processor": {
                "preprocess": ["strip_html"],
                "task": {
                    "relation-extraction": {
                        "types": {"lives_in": [["PERSON", "CITY"]], "met": [["PERSON", "PERSON"]]},
                        "symmetric": ["met"],
                    }
                },
            },
            "training": {
                "num_train_epochs": 6,
                "learning_rate": 0.005,
                "per_device_train_batch_size": 8,
                "bf16": False,
                "eval_strategy": "no",
                "save_strategy": "no",
            },
        }
    )


@pytest.fixture(scope="module")
def trained(run):
    return train(run, console=Console(file=StringIO()))


def facts(document):
    annotation = document.predicted
    surfaces = [document.surface(span) for span in annotation.spans]
    return [(surfaces[one.head], one.label, surfaces[one.tail]) for one in annotation.relations]


FACTS = [("Dov", "lives_in", "Lima"), ("Dov", "met", "Ana"), ("Ana", "met", "Dov"), ("Ana", "lives_in", "Oslo")]


def test_a_run_learns_relations(trained):
    scores = trained.metrics["test"]
    assert scores["f1"] > 0.9
    assert scores["boundaries"]["f1"] >= scores["f1"]
    assert scores["spans"]["f1"] > 0.9
    assert scores["per_label"]["met"]["support"] == 16  # 8 documents, in both directions


def test_the_report_and_the_card_have_relations(trained, run):
    reported = CliRunner().invoke(training, ["report", str(run.folder)])
    assert reported.exit_code == 0, reported.output
    assert "lives_in" in (run.folder / "report.html").read_text(encoding="utf-8")
    card = (trained.model / "README.md").read_text(encoding="utf-8")
    assert "`relation-extraction` with 2 labels: `lives_in`, `met`" in card


def test_an_exported_model_predicts_the_same_relations_without_torch(trained):
    exported = CliRunner().invoke(training, ["export", str(trained.model), "--dtype", "float32"])
    assert exported.exit_code == 0, exported.output
    verified = CliRunner().invoke(inference, ["verify", str(trained.model), "--backend", "onnx"])
    assert verified.exit_code == 0, verified.output
    for backend in ("torch", "onnx"):
        assert facts(Predictor.from_pretrained(trained.model, backend=backend)(TEXT)) == FACTS
    code = (
        "import sys; sys.modules['torch'] = None; from nlp_inference import Predictor; "
        f"print(len(Predictor.from_pretrained({str(trained.model)!r}, backend='onnx')({TEXT!r}).predicted.relations))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"


def test_the_same_model_relates_given_spans(trained):
    predictor = Predictor.from_pretrained(trained.model, backend="torch")
    task = predictor.processor.task.model_copy(update={"spans": "given"})
    given = predictor.with_processor(with_task(predictor.processor, task))
    spans = (Span(start=0, end=3, label="PERSON", score=0.7), Span(start=7, end=11, label="CITY"))
    document = given(Document(raw_text=TEXT, predicted=Annotation(spans=spans)))
    assert document.predicted.spans == spans
    assert facts(document) == FACTS[:1]
    scores = evaluate_documents(given, [document.with_gold(Annotation(spans=spans, relations=(LIVES_IN,)))])
    assert (scores["f1"], scores["spans"]["f1"]) == (1, 1)
    with pytest.raises(
        PredictionError, match="has no spans, and the task 'relation-extraction' is set to spans: given"
    ):
        given(TEXT)


def test_there_is_no_pipeline(trained):
    with pytest.raises(InvalidSpecError, match="transformers has no pipeline for 'relation-extraction'"):
        Predictor.from_pretrained(trained.model, backend="torch").as_pipeline()


SPANS = [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 7, "end": 11, "label": "CITY"}]


@pytest.mark.parametrize(
    ("relations", "problem"),
    [
        ([{"head": 0, "tail": 0, "label": "lives_in"}], "of the span 0:3 PERSON to itself"),
        ([{"head": 1, "tail": 0, "label": "lives_in"}], "from 7:11 CITY to 0:3 PERSON, which types does not allow"),
        ([{"head": 0, "tail": 1, "label": "livs_in"}], "the label 'livs_in' is not among the labels of the task"),
        ([{"head": 0, "tail": 2, "label": "lives_in"}], "the tail of relation 0 is 2; write the position of one of"),
        ([{"head": 0, "label": "lives_in", "tail": None}], "the tail of relation 0 is None"),
    ],
)
def test_bad_gold_is_named_before_training(run, tmp_path, relations, problem):
    record = {"id": "bad", "text": "Dov of Lima", "spans": SPANS, "relations": relations}
    path = write_jsonl(tmp_path / "train.jsonl", [*relation_records("train", 8), record])
    fields = run.model_dump(exclude_none=True)
    fields |= {"name": "bad", "data": {"train": str(path)}}
    fields["processor"]["task"]["relation-extraction"] |= {"labels": ["lives_in", "met"]}
    with pytest.raises(NlpInferenceError) as caught:
        train(RunConfig.model_validate(fields), console=Console(file=StringIO()))
    assert problem in str(caught.value)
    assert "train.jsonl:9" in str(caught.value)


def test_check_data_names_lost_relations(run, tmp_path):
    fields = run.model_dump(exclude_none=True)
    path = write_jsonl(tmp_path / "train.jsonl", relation_records("train", 4))
    fields |= {"data": {"train": str(path)}}
    fields["processor"]["windows"] = {"max_length": 6, "overlap": 0}
    check = check_data(RunConfig.model_validate(fields))
    lost = check.splits["train"].lost
    assert {one.cause for one in lost} == {"no window contains both of its spans"}
    assert str(lost[0]) == "document 'train-0': met 'Ana → Bo': no window contains both of its spans"


def test_spans_may_have_ids(tmp_path):
    spans = [{**span, "id": f"s{number}"} for number, span in enumerate(SPANS)]
    record = {"text": "Dov of Lima", "spans": spans, "relations": [{"head": "s1", "tail": "s0", "label": "home_of"}]}
    [document] = read_jsonl(write_jsonl(tmp_path / "a.jsonl", [record]))
    assert document.gold.relations == (Relation(head=1, tail=0, label="home_of"),)


def test_relations_of_other_tools_are_not_read(tmp_path):
    record = {"text": "Dov of Lima", "spans": SPANS, "relations": [{"from": 0, "to": 1}]}
    with pytest.warns(DataWarning, match="not read as annotations: 1 x the key 'relations'"):
        [document] = read_jsonl(write_jsonl(tmp_path / "a.jsonl", [record]))
    assert document.gold.relations == ()


def gold(*relations, person="PERSON"):
    spans = (Span(start=0, end=3, label=person), Span(start=7, end=11, label="CITY"), Span(start=16, end=19, label="X"))
    found = tuple(Relation(head=head, tail=tail, label=label, score=0.5) for head, tail, label in relations)
    return Annotation(spans=spans, relations=found)


@pytest.mark.parametrize(
    ("predicted", "wanted", "mistakes"),
    [
        (gold((0, 1, "a")), gold((0, 1, "a")), [None]),
        (gold((0, 1, "b")), gold((0, 1, "a")), ["wrong label"]),
        (gold((0, 1, "a"), person="X"), gold((0, 1, "a")), ["wrong label of a span"]),
        (gold((0, 2, "a")), gold((0, 1, "a")), ["wrong span"]),
        (gold((1, 0, "a")), gold((0, 1, "a")), ["missed", "spurious"]),
        (gold((0, 2, "b"), person="Y"), gold((0, 1, "a")), ["missed with its span", "spurious"]),
        (gold((0, 1, "a"), (0, 1, "b")), gold((0, 1, "a"), (0, 2, "b")), [None, "wrong span"]),
    ],
)
def test_mistakes_of_relations(predicted, wanted, mistakes):
    assert [one.name for one in Relations().find_mistakes(predicted, wanted)] == mistakes


def test_strict_scores_compare_the_labels_of_spans():
    found, wanted = gold((0, 1, "a"), (0, 2, "a"), person="X"), gold((0, 1, "a"), (1, 2, "b"))
    views = Relations.metric.view(Document(raw_text=" " * 19, predicted=found), wanted)
    scores = [
        part.metric().compute(predictions=[a], references=[b])
        for part, (a, b) in zip((Relations.metric.main, *Relations.metric.further.values()), views, strict=True)
    ]
    strict, boundaries, spans, calibration = scores
    assert (strict["f1"], boundaries["precision"], boundaries["recall"]) == (0, 0.5, 0.5)
    assert boundaries["per_label"]["b"]["support"] == 1
    assert spans["f1"] == pytest.approx(2 / 3)
    assert calibration["ece"] == pytest.approx(0.5)
