"""The drift guard on made-up documents: silent on others of the same kind, and loud on each planted change."""

from collections.abc import Callable
from io import StringIO

import pytest
from fakes import RecordingBackend
from rich.console import Console
from transformers import PreTrainedTokenizerBase

from nlp_inference import Predictor, Processor, TokenClassification
from nlp_inference.drift import Profile, compare_profiles, load_profile
from nlp_training import RunConfig, load_documents, train
from nlp_training.data import generate_documents
from nlp_training.data.synthetic_pii.mess import mojibake

PREPROCESS = ["fix_encoding", "strip_html", "collapse_whitespace"]


@pytest.fixture(scope="module")
def profile(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[str]], Profile]:
    """What a predictor counts of texts; its model finds nothing, so that only the texts can move."""
    processor = Processor(tokenizer, TokenClassification(labels=("CITY",)), PREPROCESS)

    def count(texts: list[str]) -> Profile:
        predictor = Predictor(processor, RecordingBackend(processor))
        predictor.predict(texts)
        return predictor.profile()

    return count


@pytest.fixture(scope="module")
def training(profile: Callable[[list[str]], Profile]) -> Profile:
    return profile(texts(size=1000, seed=0))


def texts(*, size: int, seed: int) -> list[str]:
    return [document.raw_text for document in generate_documents(split="train", size=size, seed=seed)]


@pytest.mark.parametrize(("size", "seed"), [(50, 1), (50, 2), (200, 1), (200, 2), (1000, 1)])
def test_other_documents_of_the_same_kind_raise_no_alarm(
    profile: Callable[[list[str]], Profile], training: Profile, size: int, seed: int
) -> None:
    assert compare_profiles(training, profile(texts(size=size, seed=seed))).moved == []


CHANGES: dict[str, tuple[Callable[[str], str], str]] = {
    "another language": (lambda text: "Здравствуйте, меня зовут Анна! " * (len(text) // 30), "characters: Cyrillic"),
    "upper case": (str.upper, "characters: A-Z"),
    "lower case": (str.lower, "characters: A-Z"),
    "four times as long": (lambda text: " ".join([text] * 4), "tokens"),
    "cut short": (lambda text: text[:20], "characters"),
    "HTML": (lambda text: f"<p>{text.replace(' ', ' <b>x</b>&nbsp;')}</p>", "changed by strip_html"),
    "mojibake": (lambda text: mojibake(text.replace("a", "á")), "changed by fix_encoding"),
    "no spaces": (lambda text: text.replace(" ", ""), "characters: white space"),
    "emoji": (lambda text: text + " 😀😀😀", "characters: emoji"),
}


@pytest.mark.parametrize("size", [50, 200])
@pytest.mark.parametrize(("change", "feature"), CHANGES.values(), ids=CHANGES)
def test_a_planted_change_is_named(
    profile: Callable[[list[str]], Profile], training: Profile, change: Callable[[str], str], feature: str, size: int
) -> None:
    changed = [change(text) for text in texts(size=size, seed=3)]
    assert feature in compare_profiles(training, profile(changed)).moved


def test_training_saves_the_profile_of_its_documents_as_production_would_count_them(span_run: RunConfig) -> None:
    model = train(span_run, console=Console(file=StringIO())).model
    saved = load_profile(model / "profile.json")
    predictor = Predictor.from_pretrained(model)
    predictor.predict(load_documents(span_run.data.train))
    assert saved == predictor.profile()
    assert saved.documents == 48
    assert saved.changed == {"strip_html": 48, "collapse_whitespace": 48}
