"""A bound of the text that a tokenizer makes of a text before it splits it into tokens."""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple

import regex
from transformers import PreTrainedTokenizerBase

from nlp_inference.errors import ArtefactError

MOST_GROWTH = 1000
"""A character may become at most this many characters. Tokenizers in use have less than 20."""

_MOST_STEPS = 200
_MOST_CHARACTERS = 20_000
_SECONDS = 0.1


class _Replacement(NamedTuple):
    """A step that replaces the matches of a pattern, which is a text or a regular expression, by a text."""

    pattern: str
    content: str
    is_regex: bool

    @property
    def growth(self) -> float:
        """The number of characters that one character becomes."""
        if not self.is_regex:
            return max(1.0, len(self.content) / max(1, len(self.pattern)))
        try:
            matches_nothing = regex.search(self.pattern, "", timeout=_SECONDS) is not None
        except (regex.error, TimeoutError):
            matches_nothing = True
        return max(1.0, len(self.content) + matches_nothing)  # also between two characters

    def matches_in(self, content: str) -> bool:
        """Return whether the step may match in a text that an earlier step wrote; letter case is ignored."""
        if self.is_regex or not content:
            return bool(content)
        pattern, repeated = _folded(self.pattern), _folded(content)
        return pattern in repeated * (len(pattern) // max(1, len(repeated)) + 2)


def check_growth(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the normalizer of a tokenizer cannot make a short text fill the memory.

    Steps that replace what earlier steps wrote multiply: forty steps that double a letter make terabytes of it.

    Args:
        tokenizer: a fast tokenizer.

    Raises:
        ArtefactError: a character may become more than `MOST_GROWTH` characters, or there are too many steps to tell.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.normalizer is None:
        return
    steps = list(_replacements(json.loads(backend.normalizer.__getstate__())))
    found = growth(steps)
    if found > MOST_GROWTH:
        raise ArtefactError(
            f"the normalizer of the tokenizer replaces one character by up to {found:.3g} characters, of which "
            f"{MOST_GROWTH:,} are allowed; use another model, or remove the steps 'Replace' from its tokenizer.json"
        )


def growth(steps: list[_Replacement]) -> float:
    """Return the number of characters that one character may become by steps, in order.

    Example:
        >>> growth([_Replacement("a", "aa", False)] * 5), growth([_Replacement("\\n", "<br>", False)] * 5)
        (32.0, 4.0)
    """
    if len(steps) > _MOST_STEPS or sum(len(one.pattern) + len(one.content) for one in steps) > _MOST_CHARACTERS:
        return float("inf")
    after: list[float] = []
    for number, step in enumerate(steps):
        before = (after[index] for index, one in enumerate(steps[:number]) if step.matches_in(one.content))
        after.append(step.growth * max(before, default=1.0))
    return max(after, default=1.0)


def _replacements(normalizer: Any) -> Iterator[_Replacement]:
    """Yield the replacements of a serialized normalizer, in the order in which they run."""
    pending = [normalizer]
    while pending:
        one = pending.pop()
        if not isinstance(one, dict):
            continue
        if one.get("type") == "Sequence":
            pending += reversed(one.get("normalizers") or [])
        if one.get("type") == "Replace":
            pattern = one.get("pattern") or {}
            text = pattern.get("String", pattern.get("Regex", ""))
            yield _Replacement(str(text), str(one.get("content", "")), is_regex="Regex" in pattern)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKD", text.casefold())
