"""The checks on a user's own transform bite: for each law a transform that breaks it, and what is said then."""

import secrets
from typing import ClassVar

import pytest

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.errors import CheckFailedError
from nlp_inference.testing import check_post_transform, check_transform
from nlp_inference.testing.texts import growing_texts, messy_texts
from nlp_inference.transforms import Lowercase, PostTransform, Transform, text_transform
from nlp_inference.transforms.post import MinScore


class Squeeze(Transform):
    """What the broken ones below are made of: it takes the first space out."""

    name = "squeeze"
    keep: str = ""

    def propose(self, text):
        at = text.find(" ")
        return [Edit(at, at + 1, self.keep)] if at >= 0 else []


class RawChanges(Squeeze):
    name = "raw_changes"

    def __call__(self, document):
        return document.model_copy(update={"raw_text": document.raw_text.strip("\x00")})


class ForgetsTheId(Squeeze):
    name = "forgets_the_id"

    def __call__(self, document):
        return Document(raw_text=document.raw_text)


class NotTheReplay(Squeeze):
    name = "not_the_replay"

    def apply(self, aligned):
        return AlignedText(aligned.raw, aligned.records, current=aligned.current.upper())


class OutOfOrder(Squeeze):
    name = "out_of_order"

    def propose(self, text):
        return [Edit(2, 3, "x"), Edit(0, 1, "y")] if len(text) > 3 else []


class OutOfTheText(Squeeze):
    name = "out_of_the_text"

    def propose(self, text):
        return [Edit(len(text), len(text) + 1, "x")]


class FailsOnNul(Squeeze):
    name = "fails_on_nul"

    def propose(self, text):
        if "\x00" in text:
            raise ValueError("embedded null")
        return text


class FailsOnEmpty(Squeeze):
    name = "fails_on_empty"

    def propose(self, text):
        return text[0].upper() + text[1:]


class MakesSurrogates(Squeeze):
    name = "makes_surrogates"

    def propose(self, text):
        return text.replace("a", "\ud800")


class Chance(Squeeze):
    name = "chance"

    def propose(self, text):
        return text + secrets.choice("abcdefgh")


class Remembers(Squeeze):
    name = "remembers"
    seen: ClassVar[set[str]] = set()

    def propose(self, text):
        known = text in self.seen
        self.seen.add(text)
        return text.upper() if known else text


class ChangesItsSettings(Squeeze):
    name = "changes_its_settings"
    _count: int = 0

    def propose(self, text):
        self._count += 1
        return text + str(self._count % 7)


class DropsASetting(Squeeze):
    name = "drops_a_setting"

    def to_spec(self):
        return self.name


class CannotBePickled(Squeeze):
    name = "cannot_be_pickled"

    def __reduce__(self):
        raise TypeError("there is a lock in it")


class VersionOfLetters(Squeeze):
    name = "version_of_letters"
    version = "2"


class VersionTrue(Squeeze):
    name = "version_true"
    version = True


class Quadratic(Squeeze):
    name = "quadratic"

    def propose(self, text):
        return [Edit(at, at, "") for at in range(len(text)) if sum(map(ord, text[:at])) < 0]


class Exponential(Squeeze):
    name = "exponential"

    def propose(self, text):
        if text[:16] == "a" * 16:
            sum(range(2 ** min(len(text), 40) // 64))
        return []


class FirstTextsOnly(Squeeze):
    name = "first_texts_only"

    @classmethod
    def apply_all(cls, steps, document):
        aligned = document.aligned
        for step in steps:
            aligned = step.apply(aligned)
        return document.with_aligned(aligned)


BROKEN = [
    (RawChanges(), "the raw text never changes.*'\\\\x00': it became ''"),
    (ForgetsTheId(), "it changes nothing but the text"),
    (NotTheReplay(), "the text is the replay of its edits.*'Ana lives in Rome.'.*the text is 'ANA LIVES IN ROME.'"),
    (OutOfOrder(), "it fails on no text, and its edits fit the text.*InvalidEditError"),
    (OutOfTheText(), "it fails on no text, and its edits fit the text.*InvalidEditError"),
    (FailsOnNul(), r"it fails on no text.*on '\\x00': it raised ValueError: embedded null"),
    (FailsOnEmpty(), "it fails on no text.*on '': it raised IndexError"),
    (MakesSurrogates(), "its text can be saved"),
    (Chance(), "the same text gives the same result, whatever came before it"),
    (Remembers(), "the same text gives the same result, whatever came before it"),
    (ChangesItsSettings(), "the same text gives the same result, whatever came before it|it can be pickled"),
    (DropsASetting(keep="_"), "it survives JSON.*it came back as DropsASetting\\(keep=''\\)"),
    (CannotBePickled(), "it can be pickled.*there is a lock in it"),
    (VersionOfLetters(), "its version is a positive integer.*'2'"),
    (VersionTrue(), "its version is a positive integer.*True"),
    (Quadratic(), "its time grows with the length of the input, and no faster"),
    (Exponential(), "its time grows with the length of the input, and no faster.*a again and again"),
    (FirstTextsOnly(), "a text pair is treated like a text"),
    (MinScore(threshold=0.5), "is not a Transform"),
    (Lowercase, "is not a Transform"),
    ("lowercase", "is not a Transform"),
]


@pytest.mark.parametrize(("transform", "said"), BROKEN, ids=[getattr(one, "name", one) for one, _ in BROKEN])
def test_a_broken_transform_is_caught_by_its_law(transform, said):
    with pytest.raises(CheckFailedError, match=said):
        check_transform(transform)


def test_a_map_that_lies_is_caught(monkeypatch):
    monkeypatch.setattr(AlignedText, "to_raw", lambda self, start, end: (0, len(self.raw)))
    with pytest.raises(CheckFailedError, match="what no edit touched maps to itself"):
        check_transform(Squeeze())


def test_a_map_that_turns_back_is_caught(monkeypatch):
    true = AlignedText.to_raw

    def lying(self, start, end):
        touched = self.current[start:end] == "_"
        return (0, 1) if touched and start > 1 else true(self, start, end)

    monkeypatch.setattr(AlignedText, "to_raw", lying)
    with pytest.raises(CheckFailedError, match="both maps keep order"):
        check_transform(Squeeze(keep="__"))


def test_a_class_that_took_another_name_is_caught():
    class Renamed(Squeeze):
        name = "renamed"

    Renamed.name = "lowercase"
    with pytest.raises(CheckFailedError, match=r"it is registered by its name.*'lowercase' stands for .*Lowercase"):
        check_transform(Renamed())
    Renamed.name = ""
    with pytest.raises(CheckFailedError, match="it has a name"):
        check_transform(Renamed())


def test_a_sound_transform_passes():
    check_transform(Squeeze(keep="_"), texts=["one two"], examples={"one two": "one_two"})


def test_a_function_passes():
    check_transform(no_hashes, examples={"#a #b": "a b"})


@text_transform(name="no_hashes_of_the_checks")
def no_hashes(text: str) -> str:
    return text.replace("#", "")


@text_transform(name="fails_on_boom")
def fails_on_boom(text: str) -> str:
    if text == "boom":
        raise RuntimeError("boom")
    return text


def test_the_texts_of_the_user_are_checked_too():
    with pytest.raises(CheckFailedError, match="on 'boom': it raised RuntimeError"):
        check_transform(fails_on_boom, texts=["boom"])


class KeepAll(PostTransform):
    """What the broken ones below are made of."""

    name = "keep_all"
    level: int = 0

    def revise(self, annotation, document):
        return annotation


class OutsideTheText(KeepAll):
    name = "outside_the_text"

    def revise(self, annotation, document):
        return Annotation(spans=(Span(start=0, end=len(document.raw_text) + 1, label="X"),))


class DropsSpansUnderRelations(KeepAll):
    name = "drops_spans_under_relations"

    def revise(self, annotation, document):
        return annotation.model_copy(update={"spans": annotation.spans[:1]})


class GivesAList(KeepAll):
    name = "gives_a_list"

    def revise(self, annotation, document):
        return annotation.model_copy(update={"spans": list(annotation.spans)})


class ChangesInPlace(KeepAll):
    name = "changes_in_place"

    def revise(self, annotation, document):
        annotation.values["rating"] = 1.0
        return annotation


class ChangesTheGold(KeepAll):
    name = "changes_the_gold"

    def __call__(self, document):
        return document.with_gold(document.predicted)


class LosesTheCoverage(KeepAll):
    name = "loses_the_coverage"

    def __call__(self, document):
        return document.with_predicted(document.predicted)


class ForgetsTheDocument(KeepAll):
    name = "forgets_the_document"

    def __call__(self, document):
        return None


class Alternates(KeepAll):
    name = "alternates"
    calls: ClassVar[list[int]] = []

    def revise(self, annotation, document):
        self.calls.append(1)
        return Annotation() if len(self.calls) % 2 else annotation


class QuadraticInSpans(KeepAll):
    name = "quadratic_in_spans"

    def revise(self, annotation, document):
        ranks = [sum(other.start < span.start for other in annotation.spans) for span in annotation.spans]
        return annotation if len(ranks) == len(annotation.spans) else Annotation()


BROKEN_POST = [
    (OutsideTheText(), "it fails on no prediction.*InvalidDocumentError.*outside the raw text"),
    (
        DropsSpansUnderRelations(),
        "it fails on no prediction.*InvalidDocumentError.*refers to a span that does not exist; there are 1 span",
    ),
    (GivesAList(), "it fails on no prediction"),
    (ChangesInPlace(), "it changes nothing in place"),
    (ChangesTheGold(), "it changes nothing but the prediction"),
    (LosesTheCoverage(), "it changes nothing but the prediction"),
    (ForgetsTheDocument(), "it returned None, expected a Document"),
    (Alternates(), "the same prediction gives the same result, whatever came before it"),
    (QuadraticInSpans(), "its time grows with the length of the input, and no faster"),
    (Lowercase(), "is not a PostTransform"),
]


@pytest.mark.parametrize(("transform", "said"), BROKEN_POST, ids=[one.name for one, _ in BROKEN_POST])
def test_a_broken_post_transform_is_caught_by_its_law(transform, said):
    with pytest.raises(CheckFailedError, match=said):
        check_post_transform(transform)


def test_a_sound_post_transform_passes():
    check_post_transform(KeepAll(level=3))


class FailsOnTown(KeepAll):
    name = "fails_on_town"

    def revise(self, annotation, document):
        if any(span.label == "TOWN" for span in annotation.spans):
            raise KeyError("TOWN")
        return annotation


def test_documents_of_the_user_are_checked_too():
    document = Document(raw_text="Rome", predicted={"spans": [{"start": 0, "end": 4, "label": "TOWN"}]})
    check_post_transform(FailsOnTown())
    with pytest.raises(CheckFailedError, match="it raised KeyError: 'TOWN'"):
        check_post_transform(FailsOnTown(), documents=[document])


def test_the_random_texts_are_the_same_every_time_and_utf_8_can_carry_them():
    texts = messy_texts(seed=3, count=50)
    assert texts == messy_texts(seed=3, count=50)
    assert texts != messy_texts(seed=4, count=50)
    assert all(text.encode() for text in texts if text)
    assert sum(not text.isascii() for text in texts) > 25


def test_growing_texts_grow_in_small_steps_first():
    assert [len(text) for text in growing_texts("ab", longest=700)] == [16, 20, 25, 31, 39, 48, 61, 76, 152, 305, 610]


def test_the_error_is_an_assertion_of_this_library():
    assert issubclass(CheckFailedError, AssertionError)


MINE = {
    kind: [name for name, one in kind.members.items() if one.__module__ == __name__]
    for kind in (Transform, PostTransform)
}


@pytest.fixture(scope="module", autouse=True)
def names_come_free_again():
    """What this file registers must not be seen by the tests of other files."""
    yield
    for kind, names in MINE.items():
        for name in names:
            del kind.members[name]
