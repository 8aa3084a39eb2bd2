"""The parts of a report: excerpts, mistakes, axes, tables; each for any input."""

import re
from collections import Counter
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_runs import predicted, spans

from nlp_inference import Document, Span
from nlp_training.gold import gold_kind
from nlp_training.metrics.matching import match_spans
from nlp_training.reports.html.charts import Frame, line_chart, reliability_diagram, score_bar, thinned, ticks
from nlp_training.reports.html.confusion import confusion
from nlp_training.reports.html.curves import curves
from nlp_training.reports.html.mistakes import CONTEXT, LINES, LONGEST, Labels, Mistakes, excerpt
from nlp_training.reports.html.speed import Times

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
PLACES = st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from("ABC")).map(
    lambda one: (one[0], one[0] + one[1], one[2])
)


@given(st.text(min_size=1, max_size=400), st.data())
def test_an_excerpt_shows_the_marked_characters_in_few_lines(text: str, data: st.DataObject) -> None:
    try:
        document = Document(raw_text=text)
    except ValueError:
        return  # a lone surrogate
    start = data.draw(st.integers(0, len(text) - 1))
    span = Span(start=start, end=data.draw(st.integers(start + 1, len(text))), label="X")
    shown, before, behind = excerpt(document, span, None)
    [marked] = shown.gold.spans
    assert shown.surface(marked) == document.surface(span)
    begin = span.start - marked.start
    end = begin + len(shown.raw_text)
    assert shown.raw_text == text[begin:end]
    assert (before, behind) == (begin > 0, end < len(text))
    assert shown.raw_text[: marked.start].count("\n") <= LINES
    assert shown.raw_text[marked.end :].count("\n") <= LINES
    assert marked.start <= CONTEXT + 20


def test_a_span_longer_than_an_excerpt_is_cut() -> None:
    shown, before, behind = excerpt(Document(raw_text="a" * 5000), Span(start=1000, end=4000, label="X"), None)
    assert len(shown.raw_text) == LONGEST
    assert (before, behind) == (True, True)
    assert shown.gold.spans[0].end == LONGEST


@given(st.lists(PLACES, unique=True), st.lists(PLACES, unique=True))
def test_mistakes_are_those_of_the_metric(found: list[tuple[int, int, str]], gold: list[tuple[int, int, str]]) -> None:
    mistakes = Mistakes(gold_kind("spans"))
    mistakes.add(predicted("x" * 20, spans(*gold), spans(*found)))
    counts = Counter({kind: labels.total() for kind, labels in mistakes.kinds.items()})
    expected = match_spans(set(found), set(gold))
    assert counts["missed"] == expected["strict", "missed"]
    assert counts["spurious"] == expected["strict", "spurious"]
    wrong = counts["wrong label"] + counts["wrong boundary"] + counts["wrong label and boundary"]
    assert wrong == expected["strict", "incorrect"]
    assert counts["wrong boundary"] + counts["wrong label and boundary"] == expected["exact", "incorrect"]
    assert mistakes.pairs.total() == counts.total() + expected["strict", "correct"]
    assert mistakes.wrong_documents == bool(counts.total())


def test_of_many_mistakes_the_most_confident_are_kept() -> None:
    mistakes = Mistakes(gold_kind("spans"))
    for number, score in enumerate((0.1, 0.9, 0.5, 0.7, 0.3)):
        mistakes.add(predicted("Rome", spans(), spans((0, 4, "CITY", score)), f"d{number}"))
    kept = mistakes.examples["spurious", Labels(None, "CITY")]
    assert [(one.score, one.name) for one in kept] == [(0.9, "d1"), (0.7, "d3"), (0.5, "d2")]


@given(NUMBERS, NUMBERS)
def test_ticks_are_few_round_and_cover_the_values(one: float, other: float) -> None:
    low, high = sorted((one, other))
    found = ticks(low, high)
    assert 2 <= len(found) <= 9
    slack = 1e-6 * max(1.0, abs(low), abs(high))
    assert found[0] <= low + slack
    assert found[-1] >= high - slack
    steps = [after - before for before, after in pairwise(found)]
    assert max(steps) - min(steps) <= 1e-6 * max(steps) + slack


def test_values_stand_where_they_belong() -> None:
    frame = Frame((0.0, 10.0), (0.0, 1.0))
    assert frame.place((0.0, 0.0)) == (52.0, 196.0)
    assert frame.place((10.0, 1.0)) == (428.0, 14.0)


@pytest.mark.parametrize(
    "points",
    [[(1.0, 0.5)], [(0.0, 0.0)], [(1.0, 3.0), (2.0, 3.0)], [(float(x), 0.0) for x in range(1000)]],
    ids=["one", "nothing", "flat", "many"],
)
def test_a_chart_is_well_formed_whatever_was_logged(points: list[tuple[float, float]]) -> None:
    drawn = line_chart({"<loss>": points}, title='a "title"', x_name="epoch", from_zero=True)
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    assert root.attrib["aria-label"] == 'a "title"'
    assert "nan" not in drawn


@pytest.mark.parametrize("lowest", [0.0, 0.31, 0.9, 0.9951, 1.0])
def test_the_axis_of_scores_ends_at_one(lowest: float) -> None:
    drawn = line_chart({"F1": [(1.0, lowest), (2.0, 1.0)]}, title="", x_name="", at_most=1.0)
    axis = [float(tick) for tick in re.findall(r'<text class="y"[^>]*>([\d.]+)</text>', drawn)]
    assert axis[-1] == 1.0
    assert axis[0] <= lowest
    assert len(axis) >= 2


def test_what_is_not_finite_is_left_out() -> None:
    drawn = line_chart({"loss": [(1.0, float("nan")), (2.0, 1.0), (3.0, float("inf"))]}, title="", x_name="")
    assert re.findall(r"<title>([^<]*)</title>", drawn) == ["loss: 1 at 2"]
    assert line_chart({"loss": [(1.0, float("nan"))]}, title="", x_name="") == ""


def test_many_values_become_means_of_neighbours() -> None:
    assert thinned([(float(x), float(x % 5)) for x in range(1200)]) == [(float(x * 5 + 4), 2.0) for x in range(240)]


def test_scores_of_other_tasks_have_curves_too() -> None:
    log = [{"eval_accuracy": 0.5, "epoch": 1.0}, {"eval_macro_f1": 0.25, "epoch": 1.0}, {"train_runtime": 1.0}]
    [scores] = curves(log, best="accuracy")
    assert (scores.title, scores.note) == ("Validation scores", "circle: best accuracy, 0.5000 at epoch 1")


def test_the_bars_of_a_reliability_diagram_are_the_bins() -> None:
    bins = [
        {"from": 0.8, "to": 0.9, "answers": 4, "confidence": 0.85, "right": 0.5},
        {"from": 0.9, "to": 1.0, "answers": 400, "confidence": 0.95, "right": 1.0},
    ]
    drawn = reliability_diagram(bins, title="calibration")
    bars = re.findall(r'<rect class="(bar[^"]*)" [^>]*y="([\d.]+)"[^>]*height="([\d.]+)"', drawn)
    assert bars == [("bar rare", "105.00", "91.00"), ("bar", "14.00", "182.00")]
    assert "0.80 to 0.90: 4 predictions, mean confidence 0.850, correct 0.500" in drawn


def test_a_score_is_as_long_as_its_bar() -> None:
    assert re.findall(r"(?:width|left):([\d.]+)%", score_bar(0.25, [0.1, 0.5])) == ["25.00", "10.00", "40.00"]


@given(st.dictionaries(st.tuples(*[st.sampled_from([None, *"abcdefgh"])] * 2), st.integers(1, 9)), st.integers(1, 9))
def test_a_confusion_table_loses_no_count(counts: dict[tuple[str | None, str | None], int], most: int) -> None:
    pairs = {Labels(*key): count for key, count in counts.items() if key != (None, None)}
    table = confusion(pairs, most=most)
    assert sum(cell.times for row in table.rows for cell in row.cells) == sum(pairs.values())
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    labels = {label for key in pairs for label in key} - {None}
    assert table.hidden == max(0, len(labels) - most)
    right = sum(cell.times for row in table.rows for cell in row.cells if cell.kind == "right")
    if not table.hidden:
        assert right == sum(count for (gold, found), count in pairs.items() if gold == found)


def test_only_the_slowest_documents_are_kept() -> None:
    times = Times()
    for number in range(100):
        times.add(Document(raw_text=f"text {number}", id=str(number)), (number * 37 % 100) / 1000)
    assert [slow.seconds for slow in times.slowest] == [number / 1000 for number in range(99, 89, -1)]
    assert times.facts()["95 %"] == 0.094
