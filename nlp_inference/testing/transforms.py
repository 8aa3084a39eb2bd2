"""Checks of all laws of a transform, on difficult texts."""

from collections.abc import Iterable, Mapping
from itertools import pairwise

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import apply_edits
from nlp_inference.testing._laws import attempt, check_identity, check_time, failed
from nlp_inference.testing.texts import FIXED_TEXTS, growing_texts, messy_texts
from nlp_inference.transforms.base import Transform

_RANDOM_TEXTS = 300
_LONGEST = 20_000
_GROWING_PIECES = ("a", " ", "<", "&", "é", "\n", "Ana <b>O'Neil</b> ", "cafÃ© e\u0301 👩\u200d👧 ")


def check_transform(
    transform: Transform, *, texts: Iterable[str] = (), examples: Mapping[str, str] | None = None, seed: int = 0
) -> None:
    """Check all laws of transforms, similar to `check_estimator` of scikit-learn.

    The laws: it is registered by its name; its version is an integer; it survives JSON and can be pickled; it fails on
    no text; edits are in order, without overlap and inside the text; the raw text and the other fields of a document
    are not changed; the text is the replay of the edits; unedited characters map to themselves, and both maps keep
    order; the same text always gives the same result; a text pair is treated like a text; and its time grows at most in
    proportion to the length of the text.

    Args:
        transform: an object of the class to check, or the result of `text_transform`.
        texts: additional texts, such as some of your data.
        examples: texts and the expected results.
        seed: seed of the random texts.

    Raises:
        CheckFailedError: a law is broken; the message names the law, the text and the failure.

    Example:
        >>> from nlp_inference.transforms import Lowercase
        >>> check_transform(Lowercase(), examples={"ROME": "rome"})
        >>> check_transform(Lowercase(), examples={"ROME": "Rome"})
        Traceback (most recent call last):
        nlp_inference.errors.CheckFailedError: Lowercase breaks the law 'it does what its examples say', on 'ROME': ...

    See also:
        https://scikit-learn.org/stable/modules/generated/sklearn.utils.estimator_checks.check_estimator.html
    """
    check_identity(transform, Transform)
    examples = dict(examples or {})
    all_texts = [*FIXED_TEXTS, *examples, *texts, *messy_texts(seed=seed, count=_RANDOM_TEXTS)]
    results = [_result(transform, text) for text in all_texts]
    for text, result in zip(all_texts, results, strict=True):
        _check_result(transform, text, result)
        _check_maps(transform, text, result)
    _check_memory(transform, all_texts, results)
    _check_pairs(transform, all_texts, results)
    for text, expected in examples.items():
        if (found := _result(transform, text).text) != expected:
            law = "it does what its examples say"
            raise failed(transform, law, f"it gave {found!r}, expected {expected!r}", on=text)
    for piece in _GROWING_PIECES:
        longer = ((len(text), Document(raw_text=text)) for text in growing_texts(piece, longest=_LONGEST))
        check_time(transform, transform, longer, on=f"{piece} again and again")


def _result(transform: Transform, text: str) -> Document:
    law = "it fails on no text, and its edits fit the text"
    document = attempt(transform, law, transform, Document(raw_text=text, id="check"), on=text)
    if not isinstance(document, Document):
        raise failed(transform, law, f"it returned {document!r:.200}, expected a Document", on=text)
    return document


def _check_result(transform: Transform, text: str, after: Document) -> None:
    if after.raw_text != text:
        raise failed(transform, "the raw text never changes", f"it became {after.raw_text!r:.200}", on=text)
    if after != Document(raw_text=text, id="check", edits=after.edits):
        raise failed(transform, "it changes nothing but the text", f"it gave {after!r:.300}", on=text)
    law, current = "the text is the replay of its edits", text
    for record in after.edits:
        if (record.transform, record.version) != (transform.name, transform.version):
            raise failed(transform, law, f"its record is that of {record.transform!r} {record.version!r}", on=text)
        current = attempt(transform, law, apply_edits, current, record.edits, on=text)
    if current != after.text:
        raise failed(transform, law, f"the replay gives {current!r:.200}, the text is {after.text!r:.200}", on=text)
    law = "its text can be saved"
    saved = attempt(transform, law, after.model_dump_json, on=text)
    if attempt(transform, law, Document.model_validate_json, saved, on=text).text != after.text:
        raise failed(transform, law, "the document came back from JSON with another text", on=text)
    attempt(transform, law, after.text.encode, on=text)  # fails on a lone surrogate


def _check_maps(transform: Transform, text: str, after: Document) -> None:
    aligned = after.aligned
    origin = list(range(len(text)))
    for record in after.edits:
        for start, end, replacement in reversed(record.edits):
            origin[start:end] = [-1] * len(replacement)
    law = "what no edit touched maps to itself"
    for at, raw_at in enumerate(origin):
        mapped = (aligned.to_raw(at, at + 1), aligned.to_current(raw_at, raw_at + 1)) if raw_at >= 0 else None
        if mapped not in {None, ((raw_at, raw_at + 1), (at, at + 1))}:
            raise failed(transform, law, f"character {raw_at} became {at}, but the maps give {mapped}", on=text)
    law = "both maps keep order"
    for spans in (
        [aligned.to_raw(at, at + 1) for at in range(len(after.text))],
        [aligned.to_current(at, at + 1) for at in range(len(text))],
    ):
        if any(one[0] > other[0] or one[1] > other[1] for one, other in pairwise(spans)):
            raise failed(transform, law, f"characters map to {spans!r:.200}", on=text)


def _check_memory(transform: Transform, texts: list[str], results: list[Document]) -> None:
    law = "the same text gives the same result, whatever came before it"
    again = type(transform).from_value(transform.model_dump(mode="json"))
    for step in (transform, again):
        for text, first in zip(reversed(texts), reversed(results), strict=True):
            second = _result(step, text)
            if second.edits != first.edits:
                raise failed(transform, law, f"first {first.text!r:.200}, then {second.text!r:.200}", on=text)


def _check_pairs(transform: Transform, texts: list[str], results: list[Document]) -> None:
    law = "a text pair is treated like a text"
    for text, result in zip(texts, results, strict=True):
        pair = attempt(transform, law, transform, Document(raw_text="Q?", raw_text_pair=text), on=text)
        if pair.edits_pair != result.edits:
            raise failed(transform, law, f"as text pair it became {pair.text_pair!r:.200}", on=text)
