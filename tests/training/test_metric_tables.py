"""Averages, intervals, calibration, rankings and paired tests: tables made by hand, and the libraries for each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import brier_score_loss, precision_recall_fscore_support

from nlp_training.metrics import Calibration, CategoryAccuracy, LabelRanking, McNemar, PairedBootstrap, SpanF1
from nlp_training.metrics.bootstrap import interval, resampled_totals
from nlp_training.metrics.counts import tabulate

LABELS = "abc"
ACCURACY, CALIBRATION, RANKING = CategoryAccuracy(), Calibration(), LabelRanking()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30))
def test_every_average_equals_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, found = zip(*pairs, strict=True)
    scores = ACCURACY._compute(references=gold, predictions=found, resamples=0)
    for average in ("micro", "macro", "weighted"):
        expected = precision_recall_fscore_support(gold, found, average=average, zero_division=0)[:3]
        assert list(scores["averages"][average].values()) == pytest.approx(list(expected))
    assert "interval" not in scores


def test_no_category_is_no_label_but_may_be_right() -> None:
    scores = CategoryAccuracy(keep_in_memory=True).compute(predictions=["", "", "a"], references=["", "a", "a"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert list(scores["per_label"]) == ["a"]
    assert scores["averages"]["micro"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize(("right", "documents"), [(90, 100), (5, 50), (400, 800)])
def test_the_interval_of_an_accuracy_is_that_of_the_binomial_distribution(right: int, documents: int) -> None:
    gold = ["a"] * documents
    found = ["a"] * right + ["b"] * (documents - right)
    scores = CategoryAccuracy(keep_in_memory=True).compute(predictions=found, references=gold)
    expected = binom.ppf([0.025, 0.975], documents, right / documents) / documents
    assert scores["interval"]["accuracy"] == pytest.approx(expected, abs=2.5 / documents)


def test_the_interval_of_f1_is_that_of_documents_drawn_one_by_one() -> None:
    random = np.random.default_rng(5)
    gold = random.integers(0, 4, size=60)
    found = random.integers(0, 4, size=60)
    right = random.integers(0, np.minimum(gold, found) + 1)
    documents = [
        (_spans("gold", wanted - good) + _spans("right", good), _spans("found", given - good) + _spans("right", good))
        for good, given, wanted in zip(right, found, gold, strict=True)
    ]
    scores = SpanF1(keep_in_memory=True).compute(
        predictions=[spans for _, spans in documents], references=[spans for spans, _ in documents]
    )
    drawn = random.integers(0, 60, size=(4000, 60))
    naive = 2 * right[drawn].sum(1) / (found[drawn] + gold[drawn]).sum(1)
    assert scores["interval"]["f1"] == pytest.approx(np.quantile(naive, [0.025, 0.975]), abs=0.02)
    assert scores["interval"]["f1"] == scores["per_label"]["A"]["interval"] == scores["interval"]["macro_f1"]
    low, high = scores["interval"]["f1"]
    assert low < scores["f1"] < high


def _spans(kind: str, count: int) -> list[dict[str, object]]:
    first = {"right": 0, "found": 100, "gold": 200}[kind]
    return [{"start": first + index, "end": first + index + 1, "label": "A"} for index in range(count)]


def test_neither_the_order_of_the_documents_nor_the_size_of_a_draw_changes_an_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    documents = [{"A": (index % 2, 1, 1), "B": (0, index % 3, 1)} for index in range(40)]
    shuffled = documents[::3] + documents[1::3] + documents[2::3]
    first, second = (resampled_totals(tabulate(one), resamples=50) for one in (documents, shuffled))
    assert (first == second).all()
    assert (first[:, :, 2] == 40).all()
    monkeypatch.setattr("nlp_training.metrics.bootstrap._CELLS", 20)
    assert (resampled_totals(tabulate(documents), resamples=50) == first).all()
    assert (resampled_totals(tabulate(documents), resamples=50, seed=1) != first).any()


def test_an_interval_ends_at_percentiles() -> None:
    assert interval(np.arange(1001) / 10) == pytest.approx([2.5, 97.5])


@pytest.mark.parametrize(
    ("answers", "ece", "brier"),
    [
        ([(1.0, 1), (0.0, 0)], 0.0, 0.0),
        ([(1.0, 0), (0.0, 1)], 1.0, 1.0),
        ([(0.95, 1), (0.95, 0), (0.5, 1)], (2 * 0.45 + 0.5) / 3, (0.0025 + 0.9025 + 0.25) / 3),
        ([(0.98, 1), (0.94, 0)], abs(0.96 - 0.5), (0.0004 + 0.8836) / 2),  # both above 14/15
        ([(0.98, 1), (0.93, 0)], (0.02 + 0.93) / 2, (0.0004 + 0.8649) / 2),  # the second is not
        ([(1 / 15, 0), (0.0, 0)], 1 / 30, 1 / 450),  # a bin holds its upper edge
    ],
)
def test_calibration_by_hand(answers: list[tuple[float, int]], ece: float, brier: float) -> None:
    confidences, rights = zip(*answers, strict=True)
    scores = Calibration(keep_in_memory=True).compute(predictions=[list(confidences)], references=[list(rights)])
    assert (scores["ece"], scores["brier"]) == (pytest.approx(ece), pytest.approx(brier))
    assert scores["answers"] == len(answers) == sum(one["answers"] for one in scores["bins"])


def test_calibration_of_no_answers_is_null() -> None:
    scores = Calibration(keep_in_memory=True).compute(predictions=[[], []], references=[[], []])
    assert scores == {"answers": 0, "ece": None, "brier": None, "bins": []}


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_brier_equals_that_of_scikit_learn_and_ece_is_at_least_the_gap_of_the_means(
    answers: list[tuple[float, int]],
) -> None:
    confidences, rights = zip(*answers, strict=True)
    scores = CALIBRATION._compute(predictions=[list(confidences)], references=[list(rights)])
    assert scores["brier"] == pytest.approx(brier_score_loss(rights, confidences, labels=[0, 1]))
    assert 1 + 1e-9 >= scores["ece"] >= abs(np.mean(confidences) - np.mean(rights)) - 1e-9


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[list[dict[str, object]]], list[str]]:
    size = draw(st.integers(1, 12))
    scores = draw(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=size, max_size=size))
    gold = draw(st.lists(st.sampled_from(LABELS), min_size=size, max_size=size))
    ranked = [[{"label": label, "score": one / 4} for label, one in zip(LABELS, row, strict=True)] for row in scores]
    return ranked, gold


@settings(max_examples=40)
@given(rankings())
def test_roc_auc_is_the_share_of_pairs_in_the_right_order(
    drawn: tuple[list[list[dict[str, object]]], list[str]],
) -> None:
    predictions, gold = drawn
    found = RANKING._compute(predictions=predictions, references=gold)
    shares = []
    for index, label in enumerate(LABELS):
        with_it = [one[index]["score"] for one, right in zip(predictions, gold, strict=True) if right == label]
        without = [one[index]["score"] for one, right in zip(predictions, gold, strict=True) if right != label]
        if with_it and without:
            wins = [(high > low) + (high == low) / 2 for high in with_it for low in without]
            shares.append(sum(wins) / len(wins))
            assert found["per_label"][label]["roc_auc"] == pytest.approx(shares[-1])
    assert len(found["per_label"]) == len(shares)
    assert found["roc_auc"] == (pytest.approx(np.mean(shares)) if shares else None)


def test_average_precision_and_brier_by_hand() -> None:
    scores = [(0.9, 0.1), (0.6, 0.4), (0.5, 0.5), (0.2, 0.8)]
    predictions = [[{"label": "a", "score": one}, {"label": "b", "score": other}] for one, other in scores]
    found = LabelRanking(keep_in_memory=True).compute(predictions=predictions, references=["a", "b", "a", "b"])
    assert found["per_label"]["a"]["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["per_label"]["a"]["roc_auc"] == 0.75
    assert found["brier"] == pytest.approx(2 * (0.01 + 0.36 + 0.25 + 0.04) / 4)


@pytest.mark.parametrize(
    "predictions",
    [[[{"label": "a", "score": 0.9}]], [[{"label": "a", "score": 0.9}, {"label": "b", "score": None}]], [[]]],
)
def test_a_ranking_of_a_part_of_the_labels_is_null(predictions: list[list[dict[str, object]]]) -> None:
    found = LabelRanking(keep_in_memory=True).compute(predictions=predictions, references=["b"])
    assert found == {"roc_auc": None, "average_precision": None, "brier": None, "per_label": {}}


@pytest.mark.parametrize(
    ("first_only", "second_only", "p"),
    [(6, 0, 2 / 64), (0, 6, 2 / 64), (5, 1, 2 * 7 / 64), (3, 3, 1.0), (0, 0, 1.0), (8, 2, 2 * 56 / 1024)],
)
def test_mcnemar_by_hand(first_only: int, second_only: int, p: float) -> None:
    answers = [("a", "b")] * first_only + [("b", "a")] * second_only + [("a", "a"), ("b", "b")] * 5
    first, second = zip(*answers, strict=True)
    found = McNemar(keep_in_memory=True).compute(
        predictions1=first, predictions2=second, references=["a"] * len(answers)
    )
    assert (found["first_only"], found["second_only"], found["p_value"]) == (first_only, second_only, pytest.approx(p))
    assert found["difference"] == pytest.approx(found["second"] - found["first"])


def test_the_paired_bootstrap_is_that_of_documents_drawn_one_by_one() -> None:
    random = np.random.default_rng(3)
    gold = [_spans("right", 2)] * 50
    one, other = ([_spans("right", count) for count in random.binomial(2, share, size=50)] for share in (0.6, 0.72))
    found = PairedBootstrap(keep_in_memory=True).compute(predictions1=one, predictions2=other, references=gold)
    counts = np.array([[len(first), len(second)] for first, second in zip(one, other, strict=True)])
    drawn = counts[random.integers(0, 50, size=(20_000, 50))].sum(axis=1)
    scores = 2 * drawn / (drawn + 100)
    lead = found["second"] - found["first"]
    assert lead > 0
    assert 0.01 < found["p_value"] < 0.2
    assert found["p_value"] == pytest.approx(((scores[:, 1] - scores[:, 0]) >= 2 * lead).mean(), abs=0.01)
    assert found["interval"][0] < found["difference"] < found["interval"][1]
    swapped = PairedBootstrap(keep_in_memory=True).compute(predictions1=other, predictions2=one, references=gold)
    assert swapped["difference"] == -found["difference"]
    assert swapped["p_value"] == pytest.approx(found["p_value"], abs=0.01)


def test_a_model_is_no_better_than_itself() -> None:
    spans = [_spans("right", 1), _spans("found", 1)] * 5
    found = PairedBootstrap(keep_in_memory=True).compute(
        predictions1=spans, predictions2=spans, references=[_spans("right", 1)] * 10, resamples=100
    )
    assert (found["difference"], found["interval"], found["p_value"]) == (0.0, [0.0, 0.0], 1.0)
