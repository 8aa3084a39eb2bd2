"""Made-up documents: exact spans in messy text, two sides that share nothing, the same documents everywhere."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_training.data.synthetic_pii import LABELS, generate_documents, mess
from nlp_training.data.synthetic_pii.generator import load_grammar, seeded, write_draft
from nlp_training.data.synthetic_pii.lookalikes import LOOKALIKES
from nlp_training.data.synthetic_pii.mess import Piece, make_mess, mojibake
from nlp_training.data.synthetic_pii.pools import LOCALES, load_pools, side_of, words
from nlp_training.data.synthetic_pii.values import Persona

SPLITS = ("train", "validation", "test_seen", "test")
SLOT = re.compile(r"\{([^{}\"]+)\}")
CP1252_BYTES = {character: bytes([byte]) for byte, character in enumerate(mess._CP1252)}


def undo_mess(raw: str, mess: list[str]) -> str:
    """What a value was before the mess, but for case and the width of white space."""
    if "mojibake" in mess:
        raw = b"".join(CP1252_BYTES[character] for character in raw).decode()
    text = unescape(re.sub(r"<br>", " ", raw))
    text = re.sub("[\u200b\u200c\u200d\ufeff\u00ad\u2060]", "", text).replace("’", "'")
    return " ".join(text.split()).casefold()


def surfaces(split: str, *, size: int = 400) -> list[tuple[str, str]]:
    return [
        (span.label, undo_mess(document.surface(span), document.metadata["mess"]))
        for document in generate_documents(split=split, size=size)
        for span in document.gold.spans
    ]


@given(st.sampled_from(SPLITS), st.integers(0, 10**9), st.data())
def test_a_messy_value_is_still_the_value(split, seed, data):
    grammar = load_grammar("test" if split == "test" else "train")
    template = data.draw(st.sampled_from(sorted(grammar.templates)))
    rng = seeded(f"{seed}")
    draft = write_draft(template, grammar=grammar, side="train", rng=rng)
    pieces, mess = make_mess(draft, rng=rng, is_html=template.startswith("html"))
    values = [piece for piece in pieces if piece.label is not None]
    assert [(piece.clean, piece.label) for piece in values] == [
        (p.clean, p.label) for p in draft if p.label is not None
    ]
    for piece in values:
        assert undo_mess(piece.raw, mess) == " ".join(piece.clean.split()).casefold()
        assert not piece.raw[0].isspace()
        assert not piece.raw[-1].isspace()


@pytest.mark.parametrize("split", SPLITS)
def test_spans_are_in_order_and_do_not_overlap(split):
    for document in generate_documents(split=split, size=300):
        spans = document.gold.spans
        assert all(before.end <= after.start for before, after in pairwise(spans))


def test_spans_cover_the_value_and_nothing_else():
    patterns = {
        "EMAIL": r"[a-z0-9._-]+@[a-z0-9-]+(\.[a-z]+)+",
        "IBAN": r"[a-z]{2}\d{2} ?[a-z0-9 ]+",
        "IP_ADDRESS": r"[0-9a-f.:]+",
        "CREDIT_CARD": r"[345][0-9 -]{13,18}",
        "PHONE": r"[+(0-9][0-9 ()./+-]+",
        "USERNAME": r"[a-z0-9._-]+",
    }
    checked = [(label, value) for label, value in surfaces("train") if label in patterns]
    assert len(checked) > 300
    for label, value in checked:
        assert re.fullmatch(patterns[label], value), (label, value)


@pytest.mark.parametrize("split", SPLITS)
def test_all_labels_occur_and_some_documents_have_none(split):
    documents = list(generate_documents(split=split, size=500))
    assert {span.label for document in documents for span in document.gold.spans} == set(LABELS)
    assert 10 <= sum(not document.gold.spans for document in documents) <= 100
    assert len({document.id for document in documents}) == 500


def test_every_kind_of_mess_and_every_template_occurs():
    documents = list(generate_documents(split="train", size=1500))
    kinds = {kind for document in documents for kind in document.metadata["mess"]}
    assert kinds == {"typos", "case", "curly_quotes", "spaces", "zero_width", "html", "mojibake"}
    assert {document.metadata["template"] for document in documents} == set(load_grammar("train").templates)
    assert sum(not document.metadata["mess"] for document in documents) > 300
    assert 15 < sum(len(document.raw_text.split()) for document in documents) / 1500 < 80


def test_there_are_enough_templates_and_labels():
    templates = [load_grammar(side).templates for side in ("train", "test")]
    assert [len(side) >= 20 for side in templates] == [True, True]
    assert sum(map(len, templates)) >= 60
    assert len(LABELS) == 11


def test_train_and_test_share_no_template_and_no_phrase():
    def texts(side: str) -> set[str]:
        grammar = load_grammar(side)
        lines = [*grammar.templates.values(), *(line for bank in grammar.phrases.values() for line in bank)]
        return {" ".join(line.casefold().split()) for line in lines}

    train, test = (load_grammar(side) for side in ("train", "test"))
    assert not texts("train") & texts("test")
    assert not set(train.templates) & set(test.templates)
    used = {split: {d.metadata["template"] for d in generate_documents(split=split, size=200)} for split in SPLITS}
    assert used["test"] <= set(test.templates)
    assert used["train"] | used["validation"] | used["test_seen"] <= set(train.templates)


def test_train_and_test_share_no_pool():
    train, test = load_pools()["train"], load_pools()["test"]
    for field in ("first_names", "last_names", "streets", "cities"):
        ours, theirs = ({value for pool in side for value in getattr(pool, field)} for side in (train, test))
        assert not ours & theirs
        assert min(len(ours), len(theirs)) > 600
    assert not set(words("train")) & set(words("test"))
    assert [pool.locale for pool in train] == [pool.locale for pool in test] == list(LOCALES)
    assert min(len(getattr(pool, field)) for pool in train + test for field in ("first_names", "cities")) >= 20


def test_train_and_test_share_no_value():
    seen = set(surfaces("train", size=1000)) | set(surfaces("validation", size=300))
    unseen = set(surfaces("test", size=1000)) | set(surfaces("test_seen", size=300))
    assert len(unseen) > 2000
    assert not seen & unseen


@pytest.mark.parametrize("side", ["train", "test"])
def test_every_slot_can_be_filled(side):
    grammar = load_grammar(side)
    lines = [*grammar.templates.values(), *(line for bank in grammar.phrases.values() for line in bank)]
    slots = {slot for line in lines for slot in SLOT.findall(line)}
    people = {slot for slot in slots if re.fullmatch(rf"((OTHER|THIRD)\.)?({'|'.join(LABELS)})(\.[a-z]+)?", slot)}
    assert slots - people <= set(grammar.phrases) | set(LOOKALIKES)
    for line in grammar.templates:
        text = "".join(p.clean for p in write_draft(line, grammar=grammar, side=side, rng=seeded("1")))
        assert not re.search(r"\{[A-Za-z_.]+\}", text)


def test_the_same_documents_in_another_process():
    script = (
        "from hashlib import sha256\n"
        "from nlp_training.data.synthetic_pii import generate_documents\n"
        f"for split in {SPLITS!r}:\n"
        "    documents = generate_documents(split=split, size=100, seed=3)\n"
        "    print(sha256(''.join(d.model_dump_json() for d in documents).encode()).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "271"}
    command = [sys.executable, "-W", "error", "-c", script]
    theirs = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    ours = [
        sha256("".join(d.model_dump_json() for d in generate_documents(split=split, size=100, seed=3)).encode())
        for split in SPLITS
    ]
    assert theirs == [digest.hexdigest() for digest in ours]


def test_size_adds_at_the_end_and_seed_changes_everything():
    few, many = (list(generate_documents(split="train", size=size)) for size in (20, 40))
    assert many[:20] == few
    other = {document.raw_text for document in generate_documents(split="train", size=40, seed=1)}
    assert not other & {document.raw_text for document in many}
    assert list(generate_documents(split="train", size=0)) == []


@given(st.integers(0, 10**9), st.sampled_from(["train", "test"]))
def test_numbers_pass_their_checksums_and_stay_on_their_side(seed, side):
    person = Persona(seeded(f"{seed}"), side)
    iban = person.value("IBAN", "").replace(" ", "")
    assert int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1
    card = re.sub("[ -]", "", person.value("CREDIT_CARD", ""))
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(card))]
    assert sum(value // 10 + value % 10 for value in doubled) % 10 == 0
    assert len(card) in {15, 16}
    for label in ("IBAN", "CREDIT_CARD", "PHONE", "IP_ADDRESS"):
        assert side_of(person.value(label, "")) == side


@pytest.mark.parametrize(
    ("text", "broken"),
    [("plain", "plain"), ("Zoë", "ZoÃ«"), ("it’s", "itâ€™s"), ("à", "Ã\xa0"), ("Á", "Ã\x81"), ("a\u00a0b", "aÂ\xa0b")],
)
def test_mojibake(text, broken):
    assert mojibake(text) == broken


def test_html_keeps_the_markup_and_escapes_the_values():
    pieces = [Piece("<td>Who’s it</td><td>", "<td>Who’s it</td><td>"), Piece("A & B", "A & B", "ORGANIZATION")]
    for seed in range(50):
        messy, _ = make_mess(pieces, rng=seeded(f"{seed}"), is_html=True)
        text = "".join(piece.raw for piece in messy)
        assert re.findall(r"</?[a-z]+>", text) == ["<td>", "</td>", "<td>"]
        assert "&amp;" in "".join(piece.raw for piece in messy if piece.label)
