"""Generate documents with personal data: letters, e-mails, chats, HTML tickets, records, forms and logs.

A document is a template filled with phrases, look-alikes and the values of up to three people, with the noise of
production texts added. The text is English, the values come from many locales.

The templates and phrases of the two sides, `train` and `test`, are in `train.yaml` and `test.yaml`. The sides share no
template, no phrase and no value: a checksum assigns each name, street, city and word to one side, and a number or date
that belongs to the other side is drawn again.

| split        | templates and phrases | values | measures                          |
| ------------ | --------------------- | ------ | --------------------------------- |
| `train`      | train                 | train  |                                   |
| `validation` | train                 | train  | when to stop                      |
| `test_seen`  | train                 | test   | new values in known templates     |
| `test`       | test                  | test   | new values in unknown templates   |
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from re import compile as compile_pattern
from typing import Literal, NamedTuple

import yaml

from nlp_inference.document import Annotation, Document, Span
from nlp_training.data.synthetic_pii.lookalikes import LOOKALIKES
from nlp_training.data.synthetic_pii.mess import Piece, make_mess
from nlp_training.data.synthetic_pii.pools import Side
from nlp_training.data.synthetic_pii.values import LABELS, Persona

__all__ = ["LABELS", "Split", "generate_documents"]

Split = Literal["train", "validation", "test_seen", "test"]

_SLOT = compile_pattern(r"\{((?:[A-Z]+\.)?[A-Z_]{4,}(?:\.[a-z]+)?|[a-z_]+)\}")


class Grammar(NamedTuple):
    """The templates and the phrases of one side, by name."""

    templates: Mapping[str, str]
    phrases: Mapping[str, tuple[str, ...]]


def generate_documents(*, split: Split, size: int, seed: int = 0) -> Iterator[Document]:
    """Generate documents with gold spans. The same arguments give the same documents on any machine.

    A larger `size` only adds documents at the end. `metadata` contains the name of the template and the kinds of noise.

    Args:
        split: the templates and values; see the table of this module.
        size: the number of documents.
        seed: the seed; different seeds give different documents.

    Raises:
        MissingExtraError: faker is not installed.

    Example:
        >>> documents = list(generate_documents(split="train", size=20))
        >>> len(documents), documents[0].id
        (20, 'train-0-0')
        >>> {span.label for document in documents for span in document.gold.spans} <= set(LABELS)
        True
    """
    grammar = load_grammar("test" if split == "test" else "train")
    values: Side = "test" if split in {"test", "test_seen"} else "train"
    names = tuple(grammar.templates)
    for index in range(size):
        rng = seeded(f"{split}/{seed}/{index}")
        name = rng.choice(names)
        pieces, mess = make_mess(
            write_draft(name, grammar=grammar, side=values, rng=rng), rng=rng, is_html=name.startswith("html")
        )
        yield _to_document(pieces, name=f"{split}-{seed}-{index}", metadata={"template": name, "mess": [*mess]})


def seeded(name: str) -> Random:
    """Return a random generator that is the same for the same name on any machine."""
    return Random(name)


@lru_cache(maxsize=2)
def load_grammar(side: Side) -> Grammar:
    """Read the templates and phrases of a side."""
    content = yaml.safe_load((Path(__file__).parent / f"{side}.yaml").read_text(encoding="utf-8"))
    return Grammar(content["templates"], {name: tuple(phrases) for name, phrases in content["phrases"].items()})


def write_draft(template: str, *, grammar: Grammar, side: Side, rng: Random) -> list[Piece]:
    """Fill a template with phrases and values, without noise."""
    people: dict[str, Persona] = {}
    pieces: list[Piece] = []
    pending = [*reversed(_parse(grammar.templates[template]))]
    while pending:
        literal, slot = pending.pop()
        if literal:
            pieces.append(Piece(literal, literal))
        if slot in grammar.phrases:
            pending += reversed(_parse(rng.choice(grammar.phrases[slot])))
        elif slot in LOOKALIKES:
            value = LOOKALIKES[slot](rng, side)
            pieces.append(Piece(value, value))
        elif slot:
            who, label, variant = _split_slot(slot)
            if who not in people:
                people[who] = Persona(rng, side)
            value = people[who].value(label, variant)
            pieces.append(Piece(value, value, label))
    return pieces


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[tuple[str, str], ...]:
    """Return each literal with the slot after it; the last slot is empty."""
    parts = [*_SLOT.split(text), ""]
    return tuple(zip(parts[::2], parts[1::2], strict=True))


@lru_cache(maxsize=256)
def _split_slot(slot: str) -> tuple[str, str, str]:
    """Return the person, label and variant of a slot such as `OTHER.PERSON.first`."""
    parts = slot.split(".")
    who = "" if parts[0] in LABELS else parts.pop(0)
    label, variant = (*parts, "")[:2]
    return who, label, variant


def _to_document(pieces: list[Piece], *, name: str, metadata: dict[str, object]) -> Document:
    spans: list[Span] = []
    position = 0
    for piece in pieces:
        end = position + len(piece.raw)
        if piece.label is not None:
            spans.append(Span(start=position, end=end, label=piece.label))
        position = end
    return Document(
        id=name,
        raw_text="".join([piece.raw for piece in pieces]),
        gold=Annotation(spans=tuple(spans)),
        metadata=metadata,
    )
