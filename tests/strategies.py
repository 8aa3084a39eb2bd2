"""What hypothesis draws from in the tests: messy texts, transforms of every kind, tasks, annotations, Documents."""

import string
from itertools import pairwise

from hypothesis import strategies as st

from nlp_inference.document import Annotation, Category, Coverage, Document, Relation, Span
from nlp_inference.document.aligned_text import AlignedText
from nlp_inference.tasks import (
    CrfTokenClassification,
    HierarchicalClassification,
    MultiLabelClassification,
    MultiTask,
    OrdinalRegression,
    QuestionAnswering,
    RelationExtraction,
    SpanClassification,
    TextClassification,
    TextGeneration,
    TextRegression,
    TokenClassification,
)
from nlp_inference.testing.texts import FRAGMENTS
from nlp_inference.transforms import PostTransform, Transform

messy_texts = st.lists(st.sampled_from(FRAGMENTS) | st.characters(codec="utf-8"), max_size=16).map("".join)
"""Anything that UTF-8 can carry, mostly what goes wrong in practice."""

words = st.sampled_from(
    ("Ana", "lives", "in", "Rome", "O'Neil", "unbelievably", "Łódź", "北京", "cafÃ©", "x", "&amp;", "—")
)
sentences = st.lists(words, max_size=60).map(" ".join)
"""Texts of up to several windows of 24 tokens."""

PATTERNS = ("a", "[aeiou]+", r"\s+", r"(\w)(\W*)", "x*", r"\b", r"(?P<first>.)(.)", "<[^>]*>", r"\p{L}\p{M}", "$", ".+")

SETTINGS = {
    "collapse_whitespace": {"keep_newlines": st.booleans()},
    "mask": {
        "kinds": st.lists(st.sampled_from(["url", "email", "user", "number"]), min_size=1, unique=True).map(tuple),
        "url": st.sampled_from(["[URL]", "", "u"]),
        "number": st.sampled_from(["[NUMBER]", "0"]),
    },
    "normalize_punctuation": dict.fromkeys(("quotes", "dashes", "ellipsis", "spaces"), st.booleans()),
    "normalize_unicode": {"form": st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])},
    "remove_control": {"keep_joiners": st.booleans()},
    "replace_regex": {
        "pattern": st.sampled_from(PATTERNS),
        "replacement": st.sampled_from(["", "-", "xyz", r"\g<0>", r"\g<0>\g<0>", "é\u0301"]),
        "ignore_case": st.booleans(),
    },
    "strip_html": {"separator": st.sampled_from(["", " ", "\n"])},
}
"""Values of the settings of those transforms that have any."""


def built_in(kind, settings):
    """For every registered class of this library, by name, random instances."""
    return {
        name: st.builds(member, **settings.get(name, {}))
        for name, member in sorted(kind.members.items())
        if member.__module__.startswith("nlp_inference.")
    }


TRANSFORMS = built_in(Transform, SETTINGS)

transforms = st.sampled_from(sorted(TRANSFORMS)).flatmap(TRANSFORMS.__getitem__)
chains = st.lists(transforms, max_size=7)

label_names = st.text(string.ascii_letters + "äß北_-", min_size=1, max_size=8)
some_labels = st.lists(label_names, min_size=1, max_size=4, unique=True).map(tuple)
scores = st.none() | st.floats(0, 1)

POST_SETTINGS = {
    "drop_labels": {"labels": some_labels},
    "map_labels": {"labels": st.dictionaries(label_names, label_names, max_size=3)},
    "merge_adjacent": {
        "max_gap": st.integers(0, 5),
        "gap": st.sampled_from([r"\s+", "-", ".*"]),
        "labels": st.none() | some_labels,
        "score": st.sampled_from(["min", "mean", "max"]),
    },
    "min_score": {"threshold": st.floats(0, 1), "labels": st.dictionaries(label_names, st.floats(0, 1), max_size=3)},
    "require_pattern": {"pattern": st.sampled_from([r"\d+", "a|b"]), "labels": st.none() | some_labels},
    "resolve_overlaps": {"strategy": st.sampled_from(["score", "longest"])},
    "trim_spans": {"characters": st.sampled_from(["", ".,;:", "«»"])},
}

POST_TRANSFORMS = built_in(PostTransform, POST_SETTINGS)

post_transforms = st.sampled_from(sorted(POST_TRANSFORMS)).flatmap(POST_TRANSFORMS.__getitem__)

SCHEMES = ("IO", "IOB1", "BIO", "BILOU", "BIOES")
AGGREGATIONS = ("first", "mean", "max", "none")

single_tasks = (
    st.builds(
        TokenClassification,
        labels=some_labels,
        scheme=st.sampled_from(SCHEMES),
        aggregation=st.sampled_from(AGGREGATIONS),
        outside_bias=st.floats(-10, 10),
    )
    | st.builds(
        CrfTokenClassification,
        labels=some_labels,
        scheme=st.sampled_from(SCHEMES),
        aggregation=st.sampled_from(["first", "none"]),
        temperature=st.floats(0.1, 10),
    )
    | st.builds(
        TextRegression,
        names=some_labels,
        pooling=st.sampled_from(["mean", "max", "first"]),
        scaling=st.sampled_from(["none", "log1p"]),
    )
    | st.builds(
        SpanClassification,
        labels=some_labels,
        words=st.sampled_from(["tokenizer", "unicode", "whitespace"]),
        threshold=st.floats(0.01, 0.99),
    )
    | st.builds(
        QuestionAnswering,
        top_k=st.integers(1, 3),
        max_answer_tokens=st.integers(1, 40),
        no_answer_threshold=st.none() | st.floats(-5, 5),
    )
    | st.builds(
        TextGeneration,
        pipeline_tag=st.sampled_from(["text-generation", "summarization", "translation"]),
        prefix=st.sampled_from(["", "summarize: "]),
        max_new_tokens=st.integers(8, 64),
        min_new_tokens=st.integers(0, 8),
        num_beams=st.integers(2, 4),
        length_penalty=st.floats(-2, 2),
        windows=st.sampled_from(["refuse", "join"]),
        separator=st.sampled_from([" ", "\n"]),
    )
    | st.builds(
        OrdinalRegression,
        labels=st.lists(label_names, min_size=2, max_size=5, unique=True).map(tuple),
        pooling=st.sampled_from(["mean", "max", "first"]),
        temperature=st.floats(0.1, 10),
    )
    | st.builds(
        RelationExtraction,
        labels=some_labels,
        span_labels=some_labels,
        words=st.sampled_from(["unicode", "whitespace"]),
        threshold=st.floats(0.01, 0.99),
        max_spans=st.integers(1, 99),
        max_per_head=st.none() | st.integers(1, 3),
    )
    | st.builds(
        HierarchicalClassification,
        labels=some_labels,
        threshold=st.floats(0, 1),
    )
    | st.builds(
        TextClassification,
        labels=some_labels,
        pooling=st.sampled_from(["mean", "max", "first"]),
        top_k=st.none() | st.integers(1, 5),
    )
    | some_labels.flatmap(
        lambda labels: st.builds(
            MultiLabelClassification,
            labels=st.just(labels),
            pooling=st.sampled_from(["mean", "max", "first"]),
            threshold=st.floats(0, 1),
            thresholds=st.dictionaries(st.sampled_from(labels), st.floats(0, 1)),
            temperature=st.floats(0.1, 10),
        )
    )
)

tasks = single_tasks | st.builds(
    MultiTask,
    heads=st.fixed_dictionaries(
        {
            "slots": st.builds(TokenClassification, labels=some_labels, scheme=st.sampled_from(SCHEMES)),
            "topic": st.builds(TextClassification, labels=some_labels, temperature=st.floats(0.1, 10)),
        },
        optional={"stars": st.builds(TextRegression, names=some_labels, scaling=st.just("none"))},
    ),
    weights=st.fixed_dictionaries({}, optional={"slots": st.floats(0, 10)}),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def flat_spans(draw: st.DrawFn, length: int, labels: tuple[str, ...]) -> tuple[Span, ...]:
    """Gold spans anywhere in a text of `length` characters, without overlap; adjacent ones are common."""
    if not length:
        return ()
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=12, unique=True)))
    bounds = [pair for pair in pairwise(cuts) if draw(st.booleans())]
    return tuple(Span(start=start, end=end, label=draw(st.sampled_from(labels))) for start, end in bounds)


@st.composite
def spans(draw: st.DrawFn, length: int) -> Span:
    start = draw(st.integers(0, length - 1))
    return Span(start=start, end=draw(st.integers(start + 1, length)), label=draw(label_names), score=draw(scores))


@st.composite
def annotations(draw: st.DrawFn, length: int, *, of_model: bool = False) -> Annotation:
    """Spans (overlaps allowed), categories, relations between the spans, values and texts; scores of a model."""
    found = draw(st.lists(spans(length), max_size=4)) if length else []
    places = st.integers(0, len(found) - 1) if found else st.nothing()
    relations = st.lists(st.builds(Relation, head=places, tail=places, label=label_names, score=scores), max_size=2)
    return Annotation(
        spans=tuple(found),
        categories=tuple(draw(st.lists(st.builds(Category, label=label_names, score=scores), max_size=3))),
        relations=tuple(draw(relations)) if found else (),
        values=draw(st.dictionaries(label_names, st.floats(allow_nan=False, allow_infinity=False), max_size=2)),
        label_scores=draw(st.dictionaries(label_names, st.floats(0, 1), max_size=2)) if of_model else {},
        generated=tuple(draw(st.lists(messy_texts, max_size=2))),
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Documents with everything that a Document can have."""
    raw, pair = draw(messy_texts), draw(st.none() | messy_texts)
    steps = draw(st.lists(transforms, max_size=3))
    aligned, aligned_pair = AlignedText(raw), AlignedText(pair or "")
    for step in steps:
        aligned, aligned_pair = step.apply(aligned), step.apply(aligned_pair)
    coverage = Coverage(characters=len(raw), read=0, windows=1, truncated=draw(st.booleans()), unread=((0, 1),))
    return Document(
        raw_text=raw,
        raw_text_pair=pair,
        id=draw(st.none() | st.text(st.characters(codec="utf-8"), max_size=6)),
        gold=draw(st.none() | annotations(len(raw))),
        predicted=draw(st.none() | annotations(len(raw), of_model=True)),
        metadata=draw(st.dictionaries(st.text(string.ascii_letters, max_size=4), json_values, max_size=3)),
        edits=aligned.records,
        edits_pair=() if pair is None else aligned_pair.records,
        coverage=draw(st.none() | st.just(coverage)),
    )


GRAPHEMES = (
    *(
        "e\u0301",
        "A\u030a",
        "e\u0302\u0323",
        "u\u031b\u0300",
        "n\u0303",
        "q\u0307\u0323",
    ),  # decomposed Latin, Vietnamese
    *("\u1112\u1161\u11ab", "\u1100\u1173\u11af", "\uac00\u11ab", "서", "울"),  # Hangul, decomposed and not
    *("हि", "न्दी", "क्षि", "क्\u200dष", "स्ते"),  # matras and viramas
    *("ｶ\uff9e", "ﾊ\uff9f", "ア", "か\u3099", "東"),  # half-width and decomposed kana
    *("กำ", "น้ำ", "ภา", "မာ", "င်း", "အော်"),
    *("👩\u200d👩\u200d👧", "👍🏽", "❤\ufe0f", "🇮🇹", "🏴\U000e0067\U000e007f", "1\ufe0f\u20e3"),
    *("a", "Z", "7", "ß", "é", "م", "א"),
)
"""Characters of one or several code points."""

graphemes = st.lists(
    st.sampled_from((*GRAPHEMES, " ", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", ".", ",", "'", "-", "€", "\u200b"))
    | st.sampled_from(GRAPHEMES),
    max_size=24,
).map("".join)
"""Texts in which many characters are of several code points."""
