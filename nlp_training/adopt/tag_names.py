"""The tagging scheme of a token classifier, from the names of its tags."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from nlp_inference.errors import InvalidSpecError
from nlp_inference.tasks.tag_scheme import SchemeName, TagScheme
from nlp_training.adopt.deduction import AmbiguousModelError

SCHEME_OPTION, OUTSIDE_OPTION, LABELS_OPTION = "--scheme", "--outside", "--labels"

ONLY_LABEL = "ENTITY"
"""The label of spans whose tags are bare letters: `B`, `I`, `O`."""

_SEPARATORS = "-_.:|/"
_IN_FRONT = re.compile(rf"([BILUESMW])[{re.escape(_SEPARATORS)}](.+)", re.IGNORECASE)
_BEHIND = re.compile(rf"(.+)[{re.escape(_SEPARATORS)}]([BILUESMW])", re.IGNORECASE)
_OUTSIDE = ("o", "0", "outside", "out")
_PERHAPS_OUTSIDE = ("other", "none", "null", "nothing", "_", "-", "na", "n/a", "background")
_SPECIAL = frozenset({"pad", "[pad]", "<pad>", "x", "[cls]", "[sep]", "<s>", "</s>", "[unk]", "ignore", "-100"})

_SAME_LETTER = {"M": "I", "W": "S"}
"""The middle and the single unit of BMES and BMEWO, with the letters of BIOES."""

_SCHEMES: tuple[tuple[frozenset[str], SchemeName], ...] = (
    (frozenset("I"), "IO"),
    (frozenset("B"), "BIO"),
    (frozenset("BI"), "BIO"),
    (frozenset("BILU"), "BILOU"),
    (frozenset("BLU"), "BILOU"),
    (frozenset("BIES"), "BIOES"),
    (frozenset("BES"), "BIOES"),
)
"""The scheme of each set of letters."""

Form = Literal["in front", "behind", "bare", "none"]


class Part(NamedTuple):
    """The letter and the label of a tag; both are empty for the tag outside of spans."""

    letter: str
    label: str


class TagReading(NamedTuple):
    """How the tags of a checkpoint are read.

    Attributes:
        scheme: the scheme.
        labels: the labels of spans, in the order of their first tags.
        rows: for each tag of `TagScheme(scheme, labels)`, the row of the model's head, `None` for a tag it lacks.
        dropped: labels that are no spans, such as `PAD`; their predictions are removed.
        outside: the name of the tag outside of spans.
        form: where the letters are.
        parts: the letter and the label of each tag.
        evidence: what the scheme was deduced from.
        is_open: whether the names fit both BIO and IOB1.
    """

    scheme: SchemeName
    labels: tuple[str, ...]
    rows: tuple[int | None, ...]
    dropped: tuple[str, ...]
    outside: str
    form: Form
    parts: tuple[Part, ...]
    evidence: str
    is_open: bool

    def with_scheme(self, scheme: SchemeName) -> "TagReading":
        """Return the same tags under a scheme with the same letters."""
        return self._replace(scheme=scheme, rows=_rows(scheme, self.labels, self.parts), is_open=False)


def read_tags(names: Sequence[str], *, scheme: str | None = None, outside: str | None = None) -> TagReading:
    """Deduce the scheme from the names of a token classifier's tags.

    Args:
        names: the names in the order of their ids.
        scheme: the scheme, if it is known.
        outside: the name of the tag outside of spans, if it is known.

    Raises:
        AmbiguousModelError: the names have several readings, or none.
        InvalidSpecError: there is no such scheme, or no such name.

    Example:
        >>> reading = read_tags(["B-LOC", "I-LOC", "O"])
        >>> reading.scheme, reading.labels, reading.rows
        ('BIO', ('LOC',), (2, 0, 1))
    """
    if scheme is not None and scheme not in get_args(SchemeName):
        raise InvalidSpecError(f"--scheme is {scheme!r}, expected one of {', '.join(get_args(SchemeName))}")
    form = _form(names, scheme=scheme, outside=outside)
    parts = [_part(name, form) for name in names]
    outside = _outside(names, parts, outside)
    parts = [Part("", "") if name == outside else part for name, part in zip(names, parts, strict=True)]
    letters = Counter(part.letter for part in parts if part.letter)
    found = scheme or ("IO" if form == "none" else _scheme_of(letters, parts))
    chosen: SchemeName = next(one for one in get_args(SchemeName) if one == found)
    single = _single_letter(chosen)
    parts = [Part(single, part.label) if _is_one_tag(part, parts) else part for part in parts]
    labels = tuple(dict.fromkeys(part.label for part in parts if part.label))
    special = [name for name in names if name.lower() in _SPECIAL]
    dropped = tuple(label for label in labels if label in special or label.lower() in _OUTSIDE)
    return TagReading(
        scheme=chosen,
        labels=labels,
        rows=_rows(chosen, labels, parts),
        dropped=dropped,
        outside=outside,
        form=form,
        parts=tuple(parts),
        evidence=_evidence(letters, form, outside, parts),
        is_open=scheme is None and set(letters) == {"B", "I"} and chosen == "BIO",
    )


def _form(names: Sequence[str], *, scheme: str | None, outside: str | None) -> Form:
    """Return where the letters of a scheme are in the names."""
    spans = [name for name in names if name != outside and not _is_outside(name) and name.lower() not in _SPECIAL]
    if not spans:
        raise AmbiguousModelError("tags", f"the tags {_shown(names)} name no span", option=LABELS_OPTION)
    if scheme == "IO" and not all(re.fullmatch(r"I[-_.:|/].+", name, re.IGNORECASE) for name in spans):
        return "none"
    if all(re.fullmatch("[BILUESMW]", name) for name in spans):
        return "bare"
    in_front, behind = ([one for one in spans if form.fullmatch(one)] for form in (_IN_FRONT, _BEHIND))
    if len(in_front) == len(spans) or len(behind) == len(spans):
        return "in front" if len(in_front) == len(spans) else "behind"
    best = max(in_front, behind, key=len)
    has_outside = outside is not None or any(map(_is_outside, names))
    if len(spans) - len(best) == 1 and len(best) > 1 and not has_outside:  # the other one is the outside
        return "in front" if best is in_front else "behind"
    if best:
        without = [name for name in spans if name not in best]
        raise AmbiguousModelError(
            "tagging scheme",
            f"{_shown(best)} have a letter of a scheme, but {_shown(without)} have none",
            option=f"{SCHEME_OPTION} IO (letters are part of the labels), or rename tags with {LABELS_OPTION}",
        )
    return "none"


def _part(name: str, form: Form) -> Part:
    """Return the letter and the label of a name; a name without a letter is a label."""
    if form == "bare" and re.fullmatch("[BILUESMW]", name):
        return Part(_SAME_LETTER.get(name, name), ONLY_LABEL)
    if form == "in front" and (match := _IN_FRONT.fullmatch(name)):
        return Part(_SAME_LETTER.get(match[1].upper(), match[1].upper()), match[2])
    if form == "behind" and (match := _BEHIND.fullmatch(name)):
        return Part(_SAME_LETTER.get(match[2].upper(), match[2].upper()), match[1])
    return Part("", name)


def _is_one_tag(part: Part, parts: Sequence[Part]) -> bool:
    """Return whether a tag is the only one of its label: it has no letter, or it is a second tag outside of spans."""
    alone = part.label.lower() in _OUTSIDE and sum(other.label == part.label for other in parts) == 1
    return bool(part.label) and (not part.letter or alone)


def _is_outside(name: str) -> bool:
    """Return whether a name is that of the tag outside of spans, perhaps with a letter, as in `B-O`."""
    lower = name.lower()
    return lower in _OUTSIDE or re.fullmatch(rf"[bi][{re.escape(_SEPARATORS)}]o", lower) is not None


def _outside(names: Sequence[str], parts: Sequence[Part], given: str | None) -> str:
    """Return the name of the tag outside of spans."""
    if given is not None:
        if given not in names:
            raise InvalidSpecError(f"{OUTSIDE_OPTION} is {given!r}, but the tags are {_shown(names)}")
        return given
    certain = [name for name in names if name.lower() in _OUTSIDE] or [name for name in names if _is_outside(name)]
    if certain:
        return certain[0]
    bare = [name for name, part in zip(names, parts, strict=True) if not part.letter and name.lower() not in _SPECIAL]
    if len(bare) == 1 and len(names) > 2:
        return bare[0]
    likely = [name for name in names if name.lower() in _PERHAPS_OUTSIDE]
    reason = f"it may be {_shown(likely)}" if likely else "none of them is O"
    raise AmbiguousModelError(
        "tag outside of spans", f"the tags are {_shown(names)}, and {reason}", option=f"{OUTSIDE_OPTION} NAME"
    )


def _scheme_of(letters: Mapping[str, int], parts: Sequence[Part]) -> SchemeName:
    """Return the scheme of a set of letters. A label with `I` alone, where others have `B`, is a sign of IOB1."""
    for known, scheme in _SCHEMES:
        if known == set(letters):
            return "IOB1" if scheme == "BIO" and _without_first(parts) else scheme
    raise AmbiguousModelError(
        "tagging scheme",
        f"the letters of its tags are {' '.join(sorted(letters)) or 'absent'}, which are those of no known scheme",
        option=f"{SCHEME_OPTION} {'|'.join(get_args(SchemeName))}",
    )


def _without_first(parts: Sequence[Part]) -> list[str]:
    """Return the labels that have a tag `I` and no tag `B`."""
    inner, first = ({part.label for part in parts if part.letter == letter} for letter in "IB")
    return sorted(label for label in inner - first if label.lower() not in _OUTSIDE)


def _single_letter(scheme: SchemeName) -> str:
    """Return the letter of a span of one unit, which a tag without a letter gets."""
    return {"IO": "I", "IOB1": "I", "BIO": "B", "BILOU": "U", "BIOES": "S"}[scheme]


def _rows(scheme: SchemeName, labels: Sequence[str], parts: Sequence[Part]) -> tuple[int | None, ...]:
    """Return the row of the head for each tag of the scheme."""
    ids = {(part.letter, part.label): row for row, part in reversed([*enumerate(parts)])}
    tags = TagScheme(scheme, labels).tags
    rows = [ids.get(("", "")), *(ids.get((tag[0], tag[2:])) for tag in tags[1:])]
    unused = [parts[row] for row in range(len(parts)) if row not in rows]
    if unused:
        raise AmbiguousModelError(
            "tagging scheme",
            f"{scheme} has no tag for the letter {unused[0].letter!r} of the label {unused[0].label!r}, or it occurs "
            "twice",
            option=f"{SCHEME_OPTION} or {LABELS_OPTION}",
        )
    return tuple(rows)


def _evidence(letters: Mapping[str, int], form: Form, outside: str, parts: Sequence[Part]) -> str:
    if form == "none":
        return f"the tags have no letters; outside of spans is {outside!r}"
    counted = ", ".join(f"{letter} × {count}" for letter, count in sorted(letters.items()))
    alone = _without_first(parts) if "B" in letters else []
    where = {"in front": "in front of labels", "behind": "behind labels", "bare": "without labels"}[form]
    sign = f"; {_shown(alone)} without B is a sign of IOB1" if alone and set(letters) == {"B", "I"} else ""
    return f"letters {where}: {counted}; outside of spans is {outside!r}{sign}"


def _shown(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
