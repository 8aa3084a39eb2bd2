"""The profile of what is served, exactly; and what it takes for a feature to have moved."""

import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from math import log
from threading import Event

import numpy as np
import pytest
from fakes import ScriptedBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from strategies import messy_texts, sentences

from nlp_inference import Document, Predictor, Processor, TextClassification, TokenClassification
from nlp_inference.drift import Profile, compare_profiles, load_profile, stability_index
from nlp_inference.drift.bins import LENGTHS, RATES, SHARES
from nlp_inference.drift.characters import CHARACTER_CLASSES, count_character_classes
from nlp_inference.drift.counting import profile_documents
from nlp_inference.drift.stability import chance_limit
from nlp_inference.errors import ArtefactError, InvalidDocumentError

CHARACTERS = [
    ("a-z", "az"),
    ("A-Z", "AZ"),
    ("Latin beyond ASCII", "éßŁﬁＡ"),
    ("Cyrillic", "Жя"),
    ("Greek", "Ωάϊ"),
    ("Arabic", "عپ"),
    ("Hebrew", "ש"),
    ("South Asian", "हবதక"),
    ("East Asian", "漢ひカ한𠀀"),
    ("other letters", "ไაል"),
    ("combining marks", "\u0301\u0327"),
    ("digits", "07٣½Ⅷ"),
    ("punctuation", "!-“。_"),
    ("emoji", "😀🍕"),
    ("symbols", "<>€©+"),
    ("white space", " \t\n\u00a0\u3000\u2028"),
    ("control and format", "\x00\u200b\u200d\u00ad\ufeff"),
    ("unassigned and private", "\ue000\U0010ffff"),
]


@pytest.fixture(scope="module")
def predictor(tokenizer):
    """Finds Rome and Ana, and reads 24 tokens at most."""
    task = TokenClassification(labels=("CITY", "PERSON"))
    windows = {"max_length": 24, "overlap": 6, "on_overflow": "truncate"}
    return _fresh(Processor(tokenizer, task, ["strip_html", "lowercase"], windows=windows))


def _fresh(processor):
    return Predictor(processor, ScriptedBackend(processor, {"rome": "CITY", "ana": "PERSON"}))


def served(predictor, *calls):
    """The profile of a predictor that answered these calls only."""
    fresh = _fresh(predictor.processor)
    for items in calls:
        fresh.predict(items)
    return fresh.profile()


@pytest.mark.parametrize(("name", "characters"), CHARACTERS)
def test_every_character_has_one_class(name, characters):
    counts = count_character_classes([characters, ""])
    assert dict(zip(CHARACTER_CLASSES, counts[0].tolist(), strict=True)) == dict.fromkeys(CHARACTER_CLASSES, 0) | {
        name: len(characters)
    }
    assert not counts[1].any()


def test_the_table_of_characters_names_every_class():
    assert [name for name, _ in CHARACTERS] == list(CHARACTER_CLASSES)


@given(st.lists(messy_texts, max_size=4))
def test_every_character_of_every_text_is_counted_once(texts):
    assert count_character_classes(texts).sum(axis=1).tolist() == [len(text) for text in texts]


@pytest.mark.parametrize(
    ("bins", "values", "names"),
    [
        (LENGTHS, [0, 1, 2, 3, 4], ["0", "1", "2-3", "2-3", "4-7"]),
        (LENGTHS, [2**20 - 1, 2**20, 2**40], ["524288-1048575", "1048576+", "1048576+"]),
        (SHARES, [0, 1e-9, 0.01, 0.499, 0.5, 1], ["0%", "<1%", "1-2%", "20-50%", "50%+", "50%+"]),
        (RATES, [0, 0.5, 1, 31.9, 32, 1e6], ["0", "<1", "1-2", "16-32", "32+", "32+"]),
    ],
)
def test_bins_begin_where_their_names_say(bins, values, names):
    assert [bins.names[index] for index in bins.of(np.array(values))] == names
    assert len(bins.names) == len(bins.begins) + 1


def test_the_profile_of_four_documents_exactly(predictor):
    profile = served(predictor, ["Ana lives in Rome", "<b>rome</b>", "", "ab 77 " * 20])
    assert profile.documents == 4
    assert profile.characters == {"0": 1, "8-15": 1, "16-31": 1, "64-127": 1}
    assert profile.tokens == {"0": 1, "1": 1, "4-7": 1, "32-63": 1}
    assert profile.unknown_tokens == {"0%": 4}
    assert profile.changed == {"strip_html": 1, "lowercase": 1}
    assert profile.truncated == 1
    assert profile.span_rate == {"0": 2, "32+": 2}
    assert profile.labels == {"PERSON": 1, "CITY": 2}
    assert profile.categories == {}
    assert tuple(profile.character_classes) == CHARACTER_CLASSES
    assert profile.character_classes["a-z"] == {"0%": 1, "20-50%": 1, "50%+": 2}
    assert profile.character_classes["A-Z"] == {"0%": 3, "10-20%": 1}
    assert profile.character_classes["digits"] == {"0%": 3, "20-50%": 1}
    assert profile.character_classes["symbols"] == {"0%": 3, "20-50%": 1}  # four of the eleven of <b>rome</b>
    assert profile.character_classes["Cyrillic"] == {"0%": 4}


def test_unknown_tokens_are_those_that_the_vocabulary_does_not_know(predictor):
    profile = served(predictor, ["🫨 rome rome rome", "🫨🫨"])
    assert profile.unknown_tokens == {"20-50%": 1, "50%+": 1}


def test_both_texts_of_a_pair_are_counted_as_one(predictor):
    profile = served(predictor, [Document(raw_text="rome", raw_text_pair="<i>Rome</i> ana")])
    assert profile.characters == {"16-31": 1}
    assert profile.tokens == {"2-3": 1}
    assert profile.changed == {"strip_html": 1, "lowercase": 1}


def test_the_first_category_is_counted(tokenizer):
    class Backend:
        name, dtype, token_budget, threads = "fake", "float32", 100, 1

        def forward(self, batch):
            return {"logits": np.tile(np.float32([0, 1]), (len(batch["input_ids"]), 1))}

    predictor = Predictor(Processor(tokenizer, TextClassification(labels=("ham", "spam"), top_k=None)), Backend())
    predictor.predict(["a", "b"])
    assert predictor.profile().categories == {"spam": 2}
    assert predictor.profile().distributions()["category"] == {"spam": 2, "(none)": 0}


def test_documents_that_fail_are_not_counted(predictor):
    assert served(predictor, []) == Profile(changed={"strip_html": 0, "lowercase": 0})
    fresh = _fresh(predictor.processor)
    fresh.predict(["a\ud800", "rome"], on_error="record")
    assert fresh.profile().documents == 1


@settings(max_examples=40)
@given(texts=st.lists(sentences | messy_texts, max_size=8), cut=st.integers(0, 8))
def test_profiles_add_up_however_the_documents_were_served(predictor, texts, cut):
    whole = served(predictor, texts)
    assert served(predictor, texts[:cut], texts[cut:]) == whole
    assert served(predictor, *([text] for text in texts)) == whole
    assert served(predictor, texts[:cut]) + served(predictor, texts[cut:]) == whole
    assert Profile.model_validate_json(whole.model_dump_json()) == whole


def test_what_waits_to_be_counted_is_bounded(predictor):
    fresh = _fresh(predictor.processor)
    for _ in range(10):
        fresh.predict(["rome"] * 100)
        assert len(fresh.recorder._waiting) < 256
    fresh.predict(["rome " * 60_000])
    assert fresh.recorder._waiting == []
    assert fresh.profile().labels == {"CITY": 1001}


def test_several_threads_lose_no_document(predictor):
    fresh = _fresh(predictor.processor)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fresh.predict, [["Rome", "Ana"]] * 200))
    assert (fresh.profile().documents, fresh.profile().labels) == (400, {"CITY": 200, "PERSON": 200})


def test_second_texts_count_toward_what_may_wait(predictor):
    fresh = _fresh(predictor.processor)
    fresh.recorder.add([(Document(raw_text="rome", raw_text_pair="ana " * 62_498), None)])
    assert len(fresh.recorder._waiting) == 1
    fresh = _fresh(predictor.processor)
    fresh.predict([Document(raw_text="rome", raw_text_pair="\0" * 249_996)])
    assert fresh.recorder._waiting == []


@pytest.fixture
def broken_counting(monkeypatch):
    """Counting that fails of every document that says Oslo."""

    def fail_of_oslo(served, **options):
        if any("Oslo" in document.raw_text for document, _ in served):
            raise ValueError("no Oslo")
        return profile_documents(served, **options)

    monkeypatch.setattr("nlp_inference.drift.recorder.profile_documents", fail_of_oslo)


def test_what_cannot_be_counted_is_predicted_and_told_once(predictor, broken_counting):
    fresh = _fresh(predictor.processor)
    said = (
        "the document '0' was predicted, but is not counted in the drift profile: ValueError: no Oslo; "
        "later failures are skipped silently"
    )
    with pytest.warns(RuntimeWarning, match=f"^{re.escape(said)}$") as caught:
        assert len(fresh.predict(["Rome or Oslo"] * 256)) == 256
    assert len(caught) == 1
    fresh.predict(["Oslo"])
    assert fresh.profile() == Profile(changed={"strip_html": 0, "lowercase": 0})


@pytest.mark.filterwarnings("ignore:the document .* is not counted:RuntimeWarning")
def test_what_waits_beside_a_document_that_cannot_be_counted_is_not_lost(predictor, broken_counting):
    texts = [f"Rome {number}" for number in range(20)]
    fresh = _fresh(predictor.processor)
    fresh.predict([*texts[:7], "Oslo", *texts[7:]])
    assert fresh.profile() == served(predictor, texts)


def test_nobody_waits_while_another_thread_counts(predictor, monkeypatch):
    counting, go_on = Event(), Event()

    def slow(served, **options):
        counting.set()
        assert go_on.wait(30)
        return profile_documents(served, **options)

    monkeypatch.setattr("nlp_inference.drift.recorder.profile_documents", slow)
    fresh = _fresh(predictor.processor)
    with ThreadPoolExecutor(1) as pool:
        slowly = pool.submit(fresh.predict, ["Rome"] * 256)
        assert counting.wait(30)
        assert len(fresh.predict(["Ana"])) == 1
        assert not slowly.done()
        go_on.set()
        slowly.result(30)
    assert fresh.profile().labels == {"CITY": 256, "PERSON": 1}


def test_a_recorder_can_be_pickled_with_what_it_counted(predictor):
    fresh = _fresh(predictor.processor)
    fresh.predict(["Rome"])
    copy = pickle.loads(pickle.dumps(fresh.recorder))  # noqa: S301 - made a moment ago
    assert copy.profile() == fresh.profile()


def test_a_profile_is_saved_and_loaded(predictor, tmp_path):
    profile = served(predictor, ["Ana lives in Rome"])
    profile.save(tmp_path / "profile.json")
    assert load_profile(tmp_path / "profile.json") == profile
    assert "Ana" not in (tmp_path / "profile.json").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "EOF"),
        ("[]", "object"),
        ('{"documents": -1}', "greater than or equal to 0"),
        ('{"documents": 1, "colour": 2}', "unknown key 'colour'"),
        ('{"documents": 1, "format_version": 2}', "format_version"),
        ('{"documents": 1, "truncated": 2}', "a count is 2, but there are 1 documents"),
        ('{"documents": 1, "tokens": {"1": 1, "2-3": 1}}', "a count is 2"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path, content, said):
    (tmp_path / "profile.json").write_text(content)
    with pytest.raises(ArtefactError, match=said):
        load_profile(tmp_path / "profile.json")


def test_a_profile_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ArtefactError, match=r"none\.json"):
        load_profile(tmp_path / "none.json")


def test_the_index_is_that_of_its_definition():
    before, now = {"a": 30, "b": 60, "c": 10}, {"a": 100, "b": 90, "d": 10}
    shares = [[(counts.get(name, 0) + 0.5) / (sum(counts.values()) + 2) for name in "abcd"] for counts in (before, now)]
    expected = sum((q - p) * log(q / p) for p, q in zip(*shares, strict=True))
    assert stability_index(before, now) == pytest.approx(expected, rel=1e-12)


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 1000)).filter(lambda one: any(one.values()))


@given(counts, counts)
def test_the_index_is_symmetric_and_never_negative(one, other):
    assert stability_index(one, other) == pytest.approx(stability_index(other, one), abs=1e-9)
    assert stability_index(one, other) >= 0
    assert stability_index(one, one) == 0


@pytest.mark.parametrize("bins", [2, 3, 8, 20, 78])
@pytest.mark.parametrize("probability", [0.05, 1e-3, 1e-5])
def test_the_limit_of_chance_is_the_chi_square_quantile(bins, probability):
    exact = chi2.isf(probability, bins - 1) * (1 / 1000 + 1 / 50)
    assert chance_limit(before=1000, now=50, bins=bins, probability=probability) == pytest.approx(exact, rel=0.08)


@pytest.mark.parametrize(
    ("documents", "changed", "verdict"),
    [
        (1000, 100, "stable"),
        (1000, 150, "stable"),
        (1000, 220, "watch"),
        (1000, 400, "moved"),
        (20, 5, "stable"),  # the share of the line above that is watched, but by chance as likely as not
        (20, 15, "moved"),
    ],
)
def test_thresholds_rise_where_chance_gives_more(documents, changed, verdict):
    before = Profile(documents=1000, changed={"strip_html": 100})
    now = Profile(documents=documents, changed={"strip_html": changed})
    [feature] = compare_profiles(before, now).features
    assert (feature.feature, feature.verdict) == ("changed by strip_html", verdict)
    assert compare_profiles(before, now).moved == (["changed by strip_html"] if verdict == "moved" else [])


def test_samples_of_one_population_seldom_exceed_the_limit_of_chance():
    rng = np.random.default_rng(0)
    shares = [0.5, 0.2, 0.15, 0.1, 0.03, 0.02]
    for size in (50, 200, 1000):
        pairs = zip(rng.multinomial(1000, shares, size=2000), rng.multinomial(size, shares, size=2000), strict=True)
        limit = chance_limit(before=1000, now=size, bins=6, probability=0.01)
        above = [
            stability_index(dict(enumerate(one.tolist())), dict(enumerate(other.tolist()))) > limit
            for one, other in pairs
        ]
        assert np.mean(above) < 0.02


def test_what_only_one_side_names_is_counted_zero_times_on_the_other():
    before = Profile(documents=100, labels={"OLD": 60}, categories={"a": 100})
    now = Profile(documents=100, labels={"NEW": 60}, categories={"b": 100})
    assert compare_profiles(before, now).moved[0] == "category"
    assert sorted(compare_profiles(before, now).moved) == ["category", "label NEW", "label OLD"]


def test_the_bins_that_moved_most_come_first_with_what_was_and_what_is():
    before = Profile(documents=100, characters={"1": 50, "2-3": 40, "4-7": 10})
    now = Profile(documents=100, characters={"1": 5, "2-3": 45, "4-7": 50})
    [feature] = compare_profiles(before, now).features
    assert [(one.name, one.was, one.now) for one in feature.bins] == [
        ("1", 0.5, 0.05),
        ("4-7", 0.1, 0.5),
        ("2-3", 0.4, 0.45),
    ]
    assert feature.index == pytest.approx(sum(one.contribution for one in feature.bins))


@pytest.mark.parametrize(("before", "now", "which"), [(0, 5, "before"), (5, 0, "now")])
def test_nothing_cannot_be_compared(before, now, which):
    with pytest.raises(InvalidDocumentError, match=f"profile {which} has 0 documents"):
        compare_profiles(Profile(documents=before), Profile(documents=now))
