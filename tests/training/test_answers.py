"""Questions in training: readers, the metrics of SQuAD 2.0, the fitted threshold, and a run."""

import json
from io import StringIO

import numpy as np
import pytest
from made_up_records import write_jsonl
from rich.console import Console
from typer.testing import CliRunner

from nlp_inference import Annotation, Predictor, Span
from nlp_inference.cli import app as inference
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks import QuestionAnswering
from nlp_training import RunConfig, load_documents, train
from nlp_training.cli import app as training
from nlp_training.data import InvalidDataError
from nlp_training.evaluation import choose_fitters, evaluate_documents
from nlp_training.evaluation.no_answer import best_no_answer_threshold
from nlp_training.gold import gold_kind
from nlp_training.metrics import AnswerBootstrap, AnswerF1
from nlp_training.metrics.answers import answer_f1, character_f1, exact_match

TRAINING = {"num_train_epochs": 6, "learning_rate": 0.02, "per_device_train_batch_size": 8, "bf16": False}
CITIES = ("Rome", "Oslo", "Paris", "Lima")


def record(number, *, answerable=True):
    city = CITIES[number % 4]
    text = f"Ana {number} went home, and Bo lives in {city} now."
    answers = [{"text": city, "start": text.index(city)}]
    question = "Where does Bo live?" if answerable else "Who is tall?"
    return {"id": str(number), "question": question, "context": text, "answers": answers if answerable else []}


def records(size):
    return [record(number, answerable=number % 4 != 3) for number in range(size)]


@pytest.fixture
def read(tmp_path):
    def documents(*lines, **source):
        path = write_jsonl(tmp_path / "questions.jsonl", lines)
        return load_documents({"path": str(path), **source} if source else str(path))

    return documents


@pytest.mark.parametrize(
    "answers",
    [
        [{"text": "Rome", "start": 13}, {"text": "in Rome", "start": 10}],
        [{"text": "Rome", "answer_start": 13}, {"text": "in Rome", "answer_start": 10}],
        {"text": ["Rome", "in Rome"], "answer_start": [13, 10]},
    ],
)
def test_answers_are_read_in_the_shapes_of_squad(read, answers):
    [document] = read({"question": "Where?", "context": "Ana lives in Rome", "answers": answers})
    assert (document.raw_text, document.raw_text_pair) == ("Ana lives in Rome", "Where?")
    assert document.gold.spans == (Span(start=13, end=17, label="answer"), Span(start=10, end=17, label="answer"))


def test_no_answers_are_gold_and_their_absence_is_not(read):
    empty, missing = read(
        {"question": "?", "context": "a", "answers": []}, {"question": "?", "context": "a", "answers": None}
    )
    assert empty.gold == Annotation(spans=())
    assert missing.gold is None


def test_a_question_is_not_a_text_pair_unless_the_text_is_its_context(read):
    [document] = read({"text": "a", "question": "?", "answers": "none", "label": "x"})
    assert document.raw_text_pair is None
    assert document.metadata["question"] == "?"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            {"text": "Rome", "start": 12},
            r"answer 0 is 'Rome' at 12, but the context has ' Rom' there; it contains 'Rome' at 13",
        ),
        ({"text": "Oslo", "start": 13}, r"the context has 'Rome' there; it does not contain 'Oslo'"),
        ({"text": "Rome"}, r"answer 0 is \{'text': 'Rome'\}; write \{text, start\}"),
        ("Rome", r"answer 0 is 'Rome'; write \{text, start\}"),
    ],
)
def test_an_answer_that_is_not_in_its_context_is_named_with_its_line(read, answer, said):
    with pytest.raises(InvalidDocumentError, match=r"questions\.jsonl:1.*" + said):
        read({"question": "Where?", "context": "Ana lives in Rome", "answers": [answer]})


@pytest.mark.parametrize(
    ("found", "gold", "exact", "f1"),
    [
        ("the Eiffel Tower!", ["Eiffel tower"], 1.0, 1.0),
        ("in Rome", ["Rome", "Oslo"], 0.0, 2 / 3),
        ("", [], 1.0, 1.0),
        ("Rome", [], 0.0, 0.0),
        ("", ["Rome"], 0.0, 0.0),
        ("the", ["a"], 1.0, 1.0),  # nothing is left of either, which counts as no answer
    ],
)
def test_scores_are_those_of_the_official_script(found, gold, exact, f1):
    assert exact_match(found, gold) == exact
    assert answer_f1(found, gold) == pytest.approx(f1)


def test_characters_are_compared_where_words_have_no_spaces():
    assert character_f1("東京都", ["東京"]) == pytest.approx(0.8)
    assert answer_f1("東京都", ["東京"]) == 0.0


def test_questions_with_and_without_an_answer_are_scored_apart():
    scores = AnswerF1().compute(predictions=["Rome", "", "Oslo"], references=[["Rome"], ["Lima"], []])
    assert scores["f1"] == pytest.approx(1 / 3)
    assert scores["answerable_f1"] == 0.5
    assert scores["unanswerable_accuracy"] == 0.0
    only = AnswerF1().compute(predictions=["Rome"], references=[["Rome"]])
    assert "unanswerable_accuracy" not in only
    assert only["interval"]["f1"] == [1.0, 1.0]


def test_two_models_are_compared_on_the_same_questions():
    found = AnswerBootstrap().compute(
        predictions1=["Rome"] * 8, predictions2=["Rome"] * 8, references=[["Rome"]] * 8, resamples=99
    )
    assert (found["difference"], found["p_value"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("differences", "answered", "silent", "threshold"),
    [
        ([-3.0, -1.0, 2.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0], -2.0),
        ([-1.0, 1.0], [1.0, 1.0], [0.0, 0.0], None),  # every question has an answer
        ([5.0, 3.0], [0.0, 1.0], [1.0, 0.0], 4.0),
        ([1.0, 2.0], [0.0, 0.0], [1.0, 1.0], 0.0),  # nothing should be answered
        ([float("inf"), 1.0], [0.0, 1.0], [1.0, 0.0], 2.0),  # an empty context has no candidate
    ],
)
def test_the_threshold_separates_answers_that_are_right(differences, answered, silent, threshold):
    arrays = (np.array(one) for one in (differences, answered, silent))
    assert best_no_answer_threshold(*arrays) == threshold


def test_the_threshold_is_fitted_unless_the_config_sets_it():
    assert [one.name for one in choose_fitters(QuestionAnswering(), has_validation=True)] == ["no_answer_threshold"]
    assert choose_fitters(QuestionAnswering(no_answer_threshold=0.0), has_validation=True) == ()
    assert choose_fitters(QuestionAnswering(), has_validation=False) == ()
    assert choose_fitters(QuestionAnswering(), [], has_validation=True) == ()


def test_mistakes_name_wrong_missed_and_spurious_answers():
    kind = gold_kind("answers")
    rome, oslo = Span(start=0, end=4, label="answer"), Span(start=5, end=9, label="answer")
    cases = [((rome,), (oslo, rome)), ((rome,), (oslo,)), ((), (rome,)), ((rome,), ()), ((), ())]
    found = [
        [one.name for one in kind.find_mistakes(Annotation(spans=spans), Annotation(spans=gold))]
        for spans, gold in cases
    ]
    assert found == [[None], ["wrong answer"], ["missed"], ["spurious"], []]


def test_a_run_answers_questions_and_is_verified_and_exported(tmp_path, tiny_base):
    paths = {
        split: str(write_jsonl(tmp_path / f"{split}.jsonl", records(size)))
        for split, size in (("train", 256), ("validation", 32), ("test", 32))
    }
    run = RunConfig.model_validate(
        {
            "name": "questions",
            "output_dir": str(tmp_path / "runs"),
            "cpu_threads": 1,
            "model": {"base": str(tiny_base)},
            "data": paths,
            "processor": {"task": "question-answering", "windows": {"max_length": 24, "overlap": 6}},
            "training": {**TRAINING, "num_train_epochs": 4},
        }
    )
    result = train(run, console=Console(file=StringIO()))
    assert result.metrics["test"]["f1"] > 0.9
    task = json.loads((result.model / "processor_config.json").read_text())["task"]
    assert "no_answer_threshold" in task["question-answering"]
    predictor = Predictor.from_pretrained(result.model, verify=True)
    documents = load_documents(paths["test"])
    assert evaluate_documents(predictor, documents) == result.metrics["test"]
    exported = CliRunner().invoke(training, ["export", str(result.model)])
    assert exported.exit_code == 0, exported.output
    for backend in ("torch", "onnx"):
        verified = CliRunner().invoke(inference, ["verify", str(result.model), "--backend", backend])
        assert verified.exit_code == 0, verified.output
        document = Predictor.from_pretrained(result.model, backend=backend).predict(record(1))
        assert [document.surface(span) for span in document.predicted.spans] == ["Oslo"]


def test_documents_without_a_question_are_named_before_training(tmp_path, tiny_base):
    lines = [{key: value for key, value in one.items() if key != "question"} for one in records(8)]
    run = RunConfig.model_validate(
        {
            "name": "questions",
            "output_dir": str(tmp_path / "runs"),
            "model": {"base": str(tiny_base)},
            "data": {"train": str(write_jsonl(tmp_path / "train.jsonl", lines))},
            "processor": {"task": "question-answering"},
            "training": TRAINING,
        }
    )
    with pytest.raises(InvalidDataError, match="document '0' has no text pair, which the task"):
        train(run, console=Console(file=StringIO()))
