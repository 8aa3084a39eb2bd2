"""Checks of a custom metric on generated documents with good and bad predictions."""

import json
import math
import pickle
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any, NoReturn

from nlp_inference.document import Annotation, Category, Document, Span
from nlp_inference.testing._laws import attempt, check_name, failed
from nlp_training.metrics import Metric

_DOCUMENTS = 40
_LABELS = ("PERSON", "CITY", "DATE")
_WORDS = ("Ana", "Rome", "Monday", "sang", "in", "Łódź")
Pair = tuple[Document, Annotation]


def check_metric(metric: Metric, *, documents: Iterable[Document] = (), seed: int = 0) -> None:
    """Check all laws of a custom metric.

    The laws: it is registered by its name, survives JSON and can be pickled; it needs no network; it raises no error
    for any documents, including a single one and ones without gold or predictions; its view of a document can be
    pickled because processes exchange it; its score is a finite float, or a mapping of JSON values; the same
    predictions give the same score, in any order and in batches; it changes nothing in place; and perfect predictions
    have no lower score than bad ones.

    Args:
        metric: an instance of the custom class.
        documents: additional documents with gold and predictions, such as those of `runs/NAME/predictions`.
        seed: the seed of the random documents, which have spans and categories with the labels PERSON, CITY and DATE.

    Raises:
        CheckFailedError: a law is broken; the message names it and what happened.
    """
    check_name(metric, Metric)
    random = Random(seed)
    made = [_document(random, number) for number in range(_DOCUMENTS)]
    pairs = [*made, *((one.model_copy(update={"gold": None}), one.gold or Annotation()) for one in documents)]
    with _offline(metric):
        seen = [_view(metric, pair) for pair in pairs]
        expected = _score(metric, seen)
        _check_order(metric, seen, expected, random)
        empty = Document(raw_text="Ana sang.", id="empty", predicted=Annotation())
        for few in ([_view(metric, (empty, Annotation()))], seen[:1], seen[1:2]):
            _score(metric, few)
        perfect = [_view(metric, (one.model_copy(update={"predicted": _certain(gold)}), gold)) for one, gold in pairs]
        bad = [_view(metric, (one.model_copy(update={"predicted": Annotation()}), gold)) for one, gold in pairs]
        best, worst = _score(metric, perfect), _score(metric, bad)
    if (
        isinstance(best, float)
        and isinstance(worst, float)
        and (worst > best if metric.greater_is_better else worst < best)
    ):
        law = "perfect predictions have no worse score than bad ones"
        direction = "greater" if metric.greater_is_better else "smaller"
        raise failed(
            metric, law, f"{best} and {worst}, but {direction} is better: set greater_is_better, or return the negative"
        )


def _view(metric: Metric, pair: Pair) -> tuple[Any, Any]:
    document, gold = pair
    before = (document.model_dump_json(), gold.model_dump_json())
    seen: Any = attempt(
        metric, "it fails on no document, which has no gold of its own", metric.view, document, gold, on=pair
    )
    if (document.model_dump_json(), gold.model_dump_json()) != before:
        raise failed(metric, "it changes nothing in place", "`view` changed the document", on=pair)
    if not isinstance(seen, tuple) or len(seen) != 2:
        raise failed(metric, "`view` gives a prediction and a reference", f"it gave {seen!r:.100}", on=pair)
    law = "what it sees of a document can be pickled"
    if attempt(metric, law, pickle.loads, attempt(metric, law, pickle.dumps, seen)) != seen:
        raise failed(metric, law, f"{seen!r:.100} is not restored; return tuples, lists, numbers and strings")
    return seen


def _score(metric: Metric, seen: Sequence[tuple[Any, Any]]) -> Any:
    before = pickle.dumps(seen)
    law = f"it fails on no documents, here {len(seen)}"
    found = attempt(metric, law, lambda: _collected(metric, [seen]), on=seen[:2])
    if pickle.dumps(seen) != before:
        raise failed(metric, "it changes nothing in place", "`score` changed what `view` gave")
    law = "its score is a finite float, or a mapping that JSON can hold"
    if isinstance(found, bool | int) or not isinstance(found, float | dict):
        raise failed(metric, law, f"it gave {found!r:.100}; write float(...)")
    text = attempt(metric, law, json.dumps, found, on=found)
    if isinstance(found, float) and not math.isfinite(found):
        raise failed(metric, law, f"it gave {found!r}; say what nothing to count means, such as 0.0")
    if isinstance(found, dict) and ("NaN" in text or "Infinity" in text):
        raise failed(metric, law, f"it gave {text[:100]}; use None for what is not there")
    return found


def _check_order(metric: Metric, seen: Sequence[tuple[Any, Any]], expected: Any, random: Random) -> None:
    law = "the same predictions give the same score, in any order and batch by batch"
    shuffled = random.sample(list(seen), len(seen))
    for batches in ([seen], [seen[:7], seen[7:8], seen[8:]], [shuffled]):
        found = attempt(metric, law, _collected, metric, batches)
        if not _is_close(found, expected):
            raise failed(
                metric, law, f"{expected!r:.100} became {found!r:.100}; sum complete counts, and keep no state"
            )


def _collected(metric: Metric, batches: Iterable[Sequence[tuple[Any, Any]]]) -> Any:
    collected = metric.collect()
    for batch in batches:
        collected.add_batch(predictions=[found for found, _ in batch], references=[gold for _, gold in batch])
    return collected.compute()


def _is_close(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


@contextmanager
def _offline(metric: Metric) -> Iterator[None]:
    def refuse(*_: Any) -> NoReturn:
        raise failed(metric, "it needs no network", "it opened a connection; keep what it needs in a file")

    kept = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect, socket.getaddrinfo = refuse, refuse  # type: ignore[method-assign, assignment]  # restored below
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = kept  # type: ignore[method-assign]


def _document(random: Random, number: int) -> Pair:
    words = [random.choice(_WORDS) for _ in range(random.randint(1, 8))]
    text, gold, found = "", [], []
    for word in words:
        span = Span(start=len(text), end=len(text) + len(word), label=random.choice(_LABELS))
        gold += [span] if random.random() < 0.5 else []
        wrong = span.model_copy(update={"label": random.choice(_LABELS), "score": round(random.random(), 3)})
        found += [wrong] if random.random() < 0.5 else []
        text += f"{word} "
    wanted = Annotation(spans=tuple(gold), categories=(Category(label=random.choice(_LABELS)),))
    guessed = (Category(label=random.choice(_LABELS), score=round(random.random(), 3)),)
    document = Document(raw_text=text, id=str(number), predicted=Annotation(spans=tuple(found), categories=guessed))
    return document, wanted


def _certain(gold: Annotation) -> Annotation:
    """Return the gold as the prediction of a correct model with full confidence."""
    sure = {"score": 1.0}
    return gold.model_copy(
        update={
            "spans": tuple(span.model_copy(update=sure) for span in gold.spans),
            "categories": tuple(one.model_copy(update=sure) for one in gold.categories),
        }
    )
