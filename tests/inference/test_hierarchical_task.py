"""Paths of a hierarchy: consistent at every level, and truncated where they are not probable enough."""

import numpy as np
import pytest

from nlp_inference import Document, HierarchicalClassification, Processor
from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks import Task
from nlp_inference.tasks.hierarchical_classification import ancestors

PATHS = ("bank/card/lost", "bank/card/new", "bank/loan", "travel")


def predict(tokenizer, probabilities, **settings):
    """Predict from the probability of each path."""
    processor = Processor(tokenizer, HierarchicalClassification(labels=PATHS, **settings))
    [encoded] = processor.encode([Document(raw_text="My card")])
    outputs = [{"logits": np.log(np.float32(probabilities))}]
    found = processor.decode_outputs(encoded, processor.rows(encoded), outputs).predicted
    return [(category.label, round(category.score, 3)) for category in found.categories]


def test_a_node_has_the_probability_of_all_paths_through_it(tokenizer):
    assert predict(tokenizer, [0.4, 0.3, 0.2, 0.1]) == [("bank/card/lost", 0.4)]
    assert predict(tokenizer, [0.4, 0.3, 0.2, 0.1], threshold=0.5) == [("bank/card", 0.7)]
    assert predict(tokenizer, [0.4, 0.3, 0.2, 0.1], threshold=0.8) == [("bank", 0.9)]
    assert predict(tokenizer, [0.4, 0.3, 0.2, 0.1], threshold=0.95) == []


def test_several_paths_come_best_first_and_each_once(tokenizer):
    assert predict(tokenizer, [0.4, 0.3, 0.2, 0.1], top_k=3) == [
        ("bank/card/lost", 0.4),
        ("bank/card/new", 0.3),
        ("bank/loan", 0.2),
    ]
    assert predict(tokenizer, [0.4, 0.3, 0.1, 0.2], top_k=None, threshold=0.5) == [("bank/card", 0.7)]


def test_a_path_may_end_above_the_lowest_level(tokenizer):
    task = HierarchicalClassification(labels=("bank", "bank/card"))
    processor = Processor(tokenizer, task)
    [encoded] = processor.encode([Document(raw_text="My card", gold={"categories": [{"label": "bank"}]})])
    rows = processor.rows(encoded)
    [category] = task.decode(encoded, rows, task.perfect_outputs(encoded, rows)).categories
    assert category.label == "bank"
    assert category.score == pytest.approx(1)


def test_nodes_and_ancestors():
    assert ancestors("a/b/c") == ("a", "a/b", "a/b/c")
    assert HierarchicalClassification(labels=PATHS).nodes == (
        "bank",
        "bank/card",
        "bank/card/lost",
        "bank/card/new",
        "bank/loan",
        "travel",
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["bank//card"], "the path 'bank//card' has an empty name"),
        (["/bank"], "the path '/bank' has an empty name"),
        (["bank/card", "travel/card"], "the label 'card' is in two places of the hierarchy, under 'bank' and 'travel'"),
        (["bank/card", "card"], "the label 'card' is in two places of the hierarchy, under 'the top level' and 'bank'"),
    ],
)
def test_a_hierarchy_that_is_not_one_is_refused(labels, said):
    with pytest.raises(InvalidSpecError, match=said):
        Task.from_spec({"hierarchical-classification": {"labels": labels}})


def test_a_name_may_be_repeated_where_it_is_intended():
    task = HierarchicalClassification(labels=("bank/other", "travel/other"), repeated_names=True)
    assert task.nodes == ("bank", "bank/other", "travel", "travel/other")
