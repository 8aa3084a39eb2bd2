"""Data that cannot be learnt from is refused before training, with all its problems."""

import pytest

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_training.data.checks import check_documents, find_unknown_labels
from nlp_training.data.errors import InvalidDataError


def tagged(name: str | None, *spans: tuple[int, int, str], line: int | None = None) -> Document:
    gold = Annotation(spans=tuple(Span(start=start, end=end, label=label) for start, end, label in spans))
    metadata = {} if line is None else {"read_from": f"data.jsonl:{line}"}
    return Document(id=name, raw_text="0123456789", gold=gold, metadata=metadata)


def classed(name: str, *labels: str) -> Document:
    gold = Annotation(categories=tuple(Category(label=label) for label in labels))
    return Document(id=name, raw_text="text", gold=gold)


def problems_of(splits, **options) -> list[str]:
    with pytest.raises(InvalidDataError) as error:
        check_documents(splits, **{"flat": True, **options})
    return str(error.value).split("\n- ")


def test_sound_data_pass():
    train = [tagged("a", (0, 2, "X"), (2, 4, "X")), tagged("b"), tagged(None), tagged(None)]
    check_documents({"train": train, "test": [tagged("c", (1, 3, "X"))]}, flat=True, needs="spans")
    check_documents({"train": [classed("a", "x"), classed("b", "y")]}, flat=True, needs="category")
    check_documents({"train": [tagged("a", (0, 5, "X"), (2, 4, "X"))]}, flat=False)


@pytest.mark.parametrize(
    ("splits", "options", "problem"),
    [
        ({"train": []}, {}, "train: the split is empty. Check its source, or remove the split"),
        (
            {"train": [tagged("a", line=1), tagged("a", line=9)]},
            {},
            (
                "train: document 'a' (data.jsonl:9) has the id of train: document 'a' (data.jsonl:1). Give every "
                "document its own id"
            ),
        ),
        (
            {"train": [tagged("a"), tagged("a")]},
            {},
            "train: document 'a' has the id of train: document 'a'. Give every document its own id",
        ),
        (
            {"train": [tagged("a", (4, 8, "Y"), (0, 5, "X"), line=2)]},
            {},
            (
                "train: document 'a' (data.jsonl:2) has overlapping spans: 0:5 X '01234' and 4:8 Y '4567'. Keep "
                "one of them (data.overlapping_spans: outermost or longest does so), or choose a task for nested spans"
            ),
        ),
        (
            {"train": [Document(id="a", raw_text="x", metadata={"lable": "b"})]},
            {},
            (
                "train: document 'a' has no gold annotation. Besides the text it has 'lable'. Annotate it (an empty "
                "list is valid), set the column of the annotation, or skip records with a blank label: "
                "blank_labels: skip"
            ),
        ),
        (
            {"train": [classed("a", "x", "y"), classed("b", "x")]},
            {"needs": "category"},
            (
                "train: document 'a' needs exactly one label, but has 'x', 'y'. Correct it, or choose a task with "
                "several labels"
            ),
        ),
        (
            {"train": [tagged("a")]},
            {"needs": "spans"},
            "train: no document has spans, so there is nothing to learn. Check the columns of the source",
        ),
        (
            {"train": [tagged("a", (0, 1, "X"))]},
            {"needs": "categories"},
            "train: no document has labels, so there is nothing to learn. Check the columns of the source",
        ),
        (
            {"train": [tagged("a", (0, 1, "X"))], "test": [classed("b", "x")]},
            {"needs": "spans"},
            (
                "test: document 'b' has no spans, only the label 'x'. Add its spans (the list may be empty), or "
                "choose a task that learns from labels"
            ),
        ),
        (
            {"train": [classed("a", "joy"), classed("b", "fear")]},
            {"needs": "category", "labels": ("joy", "anger")},
            (
                "train: the label 'fear' is not among the labels of the task (1 time, first in document 'b'). Add it "
                "to processor.task, rename it, or drop it (data.unknown_labels: drop)"
            ),
        ),
    ],
)
def test_each_problem_says_what_where_and_how_to_mend_it(splits, options, problem):
    assert problems_of(splits, **options) == ["1 problem in the data:", problem]


def unknown_labels(splits, **options) -> list[str]:
    check_documents(splits, flat=True, **options)
    return [one.text for one in find_unknown_labels(splits, **options)]


def test_labels_of_validation_and_test_only_are_told_with_their_number():
    train, test = tagged("a", (0, 1, "CITY")), tagged("b", (0, 1, "CITIES"), (2, 3, "CITIES"), line=4)
    [told] = unknown_labels({"train": [train], "test": [test]})
    assert told == (
        "test: the label 'CITIES' is not among the labels of the task, so it counts as a miss (2 times, first in "
        "document 'b' (data.jsonl:4)). Did you mean 'CITY'? If not, add training documents that have it, or add it to "
        "processor.task, rename it, or drop it (data.unknown_labels: drop)"
    )
    joy, fear = classed("a", "joy"), classed("b", "fear")
    [told] = unknown_labels({"train": [joy], "validation": [fear]})
    assert told == (
        "validation: the label 'fear' is not among the labels of the task, so it counts as a miss (1 time, first "
        "in document 'b'). Add training documents that have it, or add it to processor.task, "
        "rename it, or drop it (data.unknown_labels: drop)"
    )


def test_declared_labels_are_known_to_every_split():
    splits = {"train": [classed("a", "joy")], "validation": [classed("b", "fear")], "test": [classed("c", "fear")]}
    assert unknown_labels(splits, labels=("fear", "joy"), needs="category") == []
    assert unknown_labels({"train": splits["train"]}, labels=("fear", "joy"), needs="category") == []


def test_splits_may_count_from_the_same_number():
    check_documents({"train": [tagged("0", (0, 1, "X"))], "test": [tagged("0", (0, 1, "X"))]}, flat=True)


@pytest.mark.parametrize(("needs", "labels"), [("category", ("joy",)), ("spans", ("CITY",))])
def test_labels_of_the_kind_that_the_task_does_not_learn_from_are_not_looked_at(needs, labels):
    joy = (Category(label="joy"),)
    train = Document(
        id="a", raw_text="Rome!", gold=Annotation(spans=(Span(start=0, end=4, label="CITY"),), categories=joy)
    )
    other_span = (Span(start=0, end=4, label="CITY" if needs == "spans" else "TOWN"),)
    other = (Category(label="fear" if needs == "spans" else "joy"),)
    test = Document(id="b", raw_text="Oslo!", gold=Annotation(spans=other_span, categories=other))
    check_documents({"train": [train], "test": [test]}, flat=True, needs=needs, labels=labels)


def test_a_document_with_a_label_and_an_empty_list_of_spans_has_nothing_to_find():
    nothing = Document(id="b", raw_text="...", gold=Annotation(spans=(), categories=(Category(label="joy"),)))
    check_documents({"train": [tagged("a", (0, 1, "X")), nothing]}, flat=True, needs="spans")


def test_all_overlaps_are_found_and_touching_spans_are_none():
    document = tagged("a", (0, 9, "X"), (1, 2, "X"), (3, 4, "X"), (9, 10, "X"))
    assert [problem.split("spans: ")[1].split(". ")[0] for problem in problems_of({"train": [document]})[1:]] == [
        "0:9 X '012345678' and 1:2 X '1'",
        "0:9 X '012345678' and 3:4 X '3'",
    ]


def test_the_first_ten_problems_are_told_and_all_are_counted():
    problems = problems_of({"train": [tagged("a", (0, 1, "X")), *(Document(raw_text="x") for _ in range(25))]})
    assert (problems[0], len(problems), problems[-1]) == ("25 problems in the data:", 12, "and 15 more")


def test_problems_of_all_splits_are_told_at_once():
    splits = {
        "train": [tagged("a", (0, 1, "X"))],
        "validation": [],
        "test": [tagged("b", (0, 1, "Y")), tagged("b")],
    }
    assert [problem.split(":")[0] for problem in problems_of(splits)[1:]] == ["validation", "test"]
