"""Relations: rules, decoding, windows, given spans, and the scores of pairs."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nlp_inference import Annotation, Document, Processor, Relation, RelationExtraction, Span, redact
from nlp_inference.architectures.relations import RelationHead, relation_loss
from nlp_inference.encoding.span_pairs import PairVectors, pair_scores
from nlp_inference.tasks.relation_rules import relation_rules

LABELS, SPAN_LABELS = ("lives_in", "spouse", "parent", "child"), ("PERSON", "CITY")
TEXT = "Ana and Bo live in Rome"
ANA, BO, ROME = (
    Span(start=start, end=end, label=label)
    for start, end, label in ((0, 3, "PERSON"), (8, 10, "PERSON"), (19, 23, "CITY"))
)


def related(*relations, spans=(ANA, BO, ROME)):
    found = (Relation(head=head, tail=tail, label=label) for head, label, tail in relations)
    return Annotation(spans=spans, relations=tuple(found))


def task(**settings):
    return RelationExtraction(labels=LABELS, span_labels=SPAN_LABELS, **settings)


def perfect(tokenizer, task, document, **windows):
    """What a perfect model predicts, and the relations that it cannot predict, with the causes."""
    processor = Processor(tokenizer, task, windows=windows)
    [encoded] = processor.encode([document])
    rows = processor.rows(encoded)
    decoded = task.decode(encoded, rows, task.perfect_outputs(encoded, rows))
    lost = [(one.head.start, one.label, one.tail.start, one.cause) for one in task.lost_relations(encoded)]
    return [(one.head, one.label, one.tail) for one in decoded.relations], lost


def test_a_symmetric_relation_and_one_with_an_inverse_hold_in_both_directions(tokenizer):
    gold = related((1, "spouse", 0), (0, "parent", 1), (0, "lives_in", 2))
    document = Document(raw_text=TEXT, gold=gold)
    plain = [(0, "parent", 1), (0, "lives_in", 2), (1, "spouse", 0)]
    assert perfect(tokenizer, task(), document) == (plain, [])
    both = [(0, "spouse", 1), (0, "parent", 1), (0, "lives_in", 2), (1, "spouse", 0), (1, "child", 0)]
    found, lost = perfect(tokenizer, task(symmetric=("spouse",), inverses={"parent": "child"}), document)
    assert (sorted(found), lost) == (sorted(both), [])


def test_gold_in_both_directions_stays_as_it_is():
    rules = task(symmetric=("spouse",))
    gold = related((0, "spouse", 1), (1, "spouse", 0))
    assert rules.complete_gold(gold) is gold
    assert rules.complete_gold(related((0, "spouse", 1))).relations == gold.relations


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"symmetric": ("friend",)}, "'friend' is not among labels"),
        ({"types": {"lives_in": [("PERSON", "TOWN")]}}, "'TOWN' is not among span_labels"),
        ({"inverses": {"parent": "child", "spouse": "child"}}, "the label 'child' has two inverses"),
        (
            {
                "inverses": {"parent": "child"},
                "types": {"parent": [("PERSON", "PERSON")], "child": [("PERSON", "CITY")]},
            },
            "types of 'child' are",
        ),
        ({"max_per_head": 0}, "greater than 0"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(settings, problem):
    with pytest.raises(ValidationError, match=problem):
        task(**settings)


def test_the_most_relations_of_a_head_are_those_with_the_highest_scores():
    rules = relation_rules(["at", "of"], ["X"], max_per_head={"at": 1})
    scores = {(0, 1, 0): 1.0, (0, 2, 0): 2.0, (0, 1, 1): 0.5, (0, 2, 1): 0.5, (1, 2, 0): 0.1}
    assert rules.choose(scores) == {(0, 1, 1): 0.5, (0, 2, 0): 2.0, (0, 2, 1): 0.5, (1, 2, 0): 0.1}


def test_a_relation_across_windows_is_lost_with_its_cause(tokenizer):
    document = Document(raw_text=TEXT, gold=related((0, "spouse", 1), (0, "lives_in", 2)))
    windows = {"max_length": 6, "overlap": 2}
    found, lost = perfect(tokenizer, task(), document, **windows)
    assert found == [(0, "spouse", 1)]
    assert lost == [(0, "lives_in", 19, "no window contains both of its spans")]


@pytest.mark.parametrize(
    ("settings", "gold", "cause"),
    [
        ({"max_per_head": 1}, related((0, "spouse", 1), (0, "spouse", 2)), "max_per_head"),
        ({"max_relations": 1}, related((0, "spouse", 1), (0, "lives_in", 2)), "max_relations"),
        ({"max_spans": 2}, related((0, "lives_in", 2)), "more spans in a window than max_spans"),
        (
            {},
            related((0, "spouse", 1), spans=(Span(start=0, end=2, label="PERSON"), BO)),
            "its edge lies inside a word",
        ),
        (
            {"spans": "given"},
            related((0, "spouse", 1), spans=(Span(start=0, end=2, label="PERSON"), ANA)),
            "its two spans cover the same words",
        ),
    ],
)
def test_every_lost_relation_has_a_cause(tokenizer, settings, gold, cause):
    _, lost = perfect(tokenizer, task(**settings), Document(raw_text=TEXT, gold=gold))
    assert len(lost) == 1
    assert cause in lost[0][3]


def test_types_that_gold_breaks_are_named():
    typed = task(types={"lives_in": [("PERSON", "CITY")]})
    assert typed.gold_problem(related((0, "lives_in", 2))) is None
    assert typed.gold_problem(related((2, "lives_in", 0))) == (
        "has a relation 'lives_in' from 19:23 CITY to 0:3 PERSON, which types does not allow; it allows PERSON to "
        "CITY. Correct the relation, or add the labels to types"
    )
    other = related(spans=(Span(start=0, end=3, label="DOG"),))
    assert "has the span 0:3 DOG, whose label is not among span_labels" in typed.gold_problem(other)


def test_given_spans_are_those_of_the_prediction_or_else_of_the_gold():
    given = task(spans="given")
    gold = related((0, "lives_in", 2))
    document = given.as_input(Document(raw_text=TEXT, gold=gold))
    assert (document.gold, document.predicted) == (None, Annotation(spans=gold.spans))
    assert given.input_problem(document) is None
    assert "has no spans" in given.input_problem(Document(raw_text=TEXT))
    assert "whose label is not among" in given.input_problem(
        Document(raw_text=TEXT, predicted=Annotation(spans=(Span(start=0, end=3, label="DOG"),)))
    )
    assert task().as_input(Document(raw_text=TEXT, gold=gold)) == Document(raw_text=TEXT)


def test_relations_come_with_other_units_and_do_not_change_what_is_redacted():
    text = "😀 Ana, Rome"
    spans = (Span(start=2, end=5, label="PERSON"), Span(start=7, end=11, label="CITY"))
    document = Document(raw_text=text, predicted=related((0, "lives_in", 1), spans=spans))
    content = document.to_offsets("utf-16")["predicted"]
    assert ([span["start"] for span in content["spans"]], content["relations"][0]["tail"]) == ([3, 8], 1)
    assert Document.from_offsets(document.to_offsets("utf-8")) == document
    without = document.with_predicted(Annotation(spans=spans))
    assert redact(document, unseen="keep") == redact(without, unseen="keep")


def test_training_and_prediction_score_pairs_alike():
    torch.manual_seed(0)
    head = RelationHead(8, 2, 3)
    head.initialize()
    vectors = PairVectors(*(field[0] for field in head(torch.randn(1, 5, 8))))
    spans = np.array([[0, 1, 0], [2, 2, 1], [3, 4, 0]])
    of_torch = pair_scores(vectors, torch.from_numpy(spans), torch.from_numpy(spans[:2])).detach().numpy()
    of_numpy = pair_scores(PairVectors(*(field.detach().numpy() for field in vectors)), spans, spans[:2])
    assert of_numpy.shape == (3, 2, 3)
    np.testing.assert_allclose(of_numpy, of_torch, rtol=1e-4, atol=1e-4)
    links, edges, types, weights = (field.detach().numpy().astype(np.float64) for field in vectors)
    features = [
        np.maximum(edges[f, 0, role] + edges[a, 1, role] + types[role, kind], 0)
        for role, (f, a, kind) in enumerate((spans[2], spans[1]))
    ]
    w, u, v, c = np.split(weights[1], [128, 256, 384])
    link = (links[3, 0, 0] + links[4, 1, 0]) @ (links[2, 0, 1] + links[2, 1, 1])
    expected = (features[0] * w) @ features[1] + features[0] @ u + features[1] @ v + c[0] + link
    assert of_numpy[2, 1, 1] == pytest.approx(expected, rel=1e-4)


def test_the_loss_counts_pairs_of_different_spans_that_are_there():
    scores = {(0, 1): 2.0, (1, 0): -1.0}
    vectors = PairVectors(
        torch.zeros(1, 3, 2, 2, 1), torch.zeros(1, 3, 2, 2, 2), torch.eye(2).repeat(2, 1, 1)[None], None
    )
    # features are one-hot labels of spans: weights pick out the scores of the two ordered pairs
    edges = torch.zeros(1, 3, 2, 2, 2)
    weights = torch.tensor([[[0.0, 0.0, 2.0, -1.0, 0.0, 0.0, 0.0]]])
    spans = torch.tensor([[[0, 0, 0], [1, 1, 1], [-100, -100, -100]]])
    found = relation_loss(vectors._replace(edges=edges, weights=weights), spans, torch.tensor([[[0, 1, 0]]]))
    expected = np.log1p(np.exp(-scores[0, 1])) + np.log1p(np.exp(scores[1, 0]))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    nothing = relation_loss(vectors._replace(edges=edges, weights=weights), spans[:, :0], torch.empty(1, 0, 3).long())
    assert nothing.item() == 0


def test_a_pair_in_two_windows_is_decided_where_it_is_most_central(tokenizer):
    text = "a b c d e f g h i j"
    spans = (Span(start=8, end=9, label="PERSON"), Span(start=10, end=11, label="CITY"))  # e and f
    the_task = task()
    processor = Processor(tokenizer, the_task, windows={"max_length": 9, "overlap": 3})
    gold = Annotation(spans=spans, relations=(Relation(head=0, tail=1, label="lives_in"),))
    [encoded] = processor.encode([Document(raw_text=text, gold=gold)])
    assert [(window.start, window.end) for window in encoded.windows] == [(0, 7), (4, 10)]
    rows = processor.rows(encoded)
    yes = the_task.perfect_outputs(encoded, rows)
    no = [{**output, "weights": -np.abs(output["weights"])} for output in yes]
    assert len(the_task.decode(encoded, rows, [yes[0], no[1]]).relations) == 1  # e and f are 1 from the end of window 0
    assert len(the_task.decode(encoded, rows, [no[0], yes[1]]).relations) == 0  # and at the start of window 1
