"""Scores equal those of the libraries that everybody cites."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from sklearn.metrics import accuracy_score, f1_score

from nlp_inference.tasks import TagScheme
from nlp_training.metrics import CategoryAccuracy, SpanF1

LABELS = ["PER", "LOC", "ORG"]
SCHEME = TagScheme("BIO", LABELS)


@st.composite
def tag_pairs(draw: st.DrawFn) -> list[tuple[list[int], list[int]]]:
    """Valid tag sequences of gold and prediction for a few sentences."""
    pairs = []
    for _ in range(draw(st.integers(1, 5))):
        length = draw(st.integers(1, 8))
        pairs.append((draw(valid_tags(length)), draw(valid_tags(length))))
    return pairs


@st.composite
def valid_tags(draw: st.DrawFn, length: int) -> list[int]:
    tags: list[int] = []
    for _ in range(length):
        allowed = [
            tag for tag in range(len(SCHEME.tags)) if (SCHEME.follows[tags[-1], tag] if tags else SCHEME.starts[tag])
        ]
        tags.append(draw(st.sampled_from(allowed)))
    return tags


def _spans(tags: list[int]) -> list[dict[str, object]]:
    import numpy as np

    return [{"start": start, "end": end, "label": label} for start, end, label in SCHEME.decode(np.array(tags))]


@given(tag_pairs())
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_span_f1_equals_seqeval(pairs: list[tuple[list[int], list[int]]]) -> None:
    scores = SpanF1(keep_in_memory=True).compute(
        references=[_spans(gold) for gold, _ in pairs], predictions=[_spans(found) for _, found in pairs], resamples=0
    )
    names = [[[SCHEME.tags[tag] for tag in tags] for tags in side] for side in zip(*pairs, strict=True)]
    if not any(tag != "O" for side in names for sentence in side for tag in sentence):
        assert scores["f1"] == 0.0
        return
    report = classification_report(*names, output_dict=True, zero_division=0)
    for name in ("precision", "recall"):
        assert scores[name] == pytest.approx(report["micro avg"][name])
    assert scores["f1"] == pytest.approx(report["micro avg"]["f1-score"])
    for label, values in scores["per_label"].items():
        assert values["f1"] == pytest.approx(report[label]["f1-score"])
        assert values["support"] == report[label]["support"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=30))
def test_accuracy_and_macro_f1_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, found = zip(*pairs, strict=True)
    scores = CategoryAccuracy(keep_in_memory=True).compute(references=gold, predictions=found, resamples=0)
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold, found))
    assert scores["macro_f1"] == pytest.approx(f1_score(gold, found, average="macro", zero_division=0))


def test_a_span_counts_only_if_start_end_and_label_are_right() -> None:
    gold = [[{"start": 0, "end": 5, "label": "A"}]]
    for wrong in (
        {"start": 1, "end": 5, "label": "A"},
        {"start": 0, "end": 4, "label": "A"},
        {"start": 0, "end": 5, "label": "B"},
    ):
        assert SpanF1().compute(predictions=[[wrong]], references=gold)["f1"] == 0.0


def test_nothing_to_find_and_nothing_found_is_no_division_by_zero() -> None:
    assert SpanF1().compute(predictions=[[]], references=[[]])["f1"] == 0.0
