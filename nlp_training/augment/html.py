"""Plain text as a web page or a mail holds it."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from html.entities import codepoint2name
from itertools import chain
from random import Random
from typing import Literal

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import Edit
from nlp_inference.transforms import StripHtml
from nlp_training.augment.base import Augmentation, Share, draw
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.places import free_words, lone_spans

Style = Literal["none", "names", "numbers"]

_SINGLE_LINE_FEED = re.compile(r"(?<=[^\n])\n(?=[^\n])")
_MARKUP = re.compile("[&<>]")
_NOT_ASCII = re.compile(r"[^\x00-\x7F]")
_BLOCKS = ("p", "div", "td", "li")
_INLINE = ("b", "i", "em", "span", 'a href="#"')


class WrapHtml(Augmentation):
    """Write plain text as HTML: in a block, with `<br>`, inline tags around words and gold spans, character references.

    `strip_html` undoes it: after that transform the text is what it would have been. Where the text holds markup
    already, it is left alone.

    Args:
        probability: the chance that a document is changed.
        max_share: how many of the words and gold spans are put into inline tags at most.

    Example:
        >>> from nlp_training.augment import Augmenter
        >>> wrap = Augmenter([WrapHtml(probability=1)], seed=35)
        >>> wrap(Document(raw_text="AT&T à Nîmes"), epoch=0).document.raw_text
        '<p>AT&amp;T &agrave; <b>N&icirc;mes</b></p>'
    """

    name = "wrap_html"

    max_share: Share = 0.1

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return the tags as insertions, and an edit for each character that is written as a reference."""
        text = document.raw_text
        if next(StripHtml().propose(text), None) is not None:
            return []
        style: Style = rng.choice(("none", "names", "numbers"))
        words = [*free_words(document), *((span.start, span.end) for span in lone_spans(document))]
        tagged = draw(sorted(words), self.max_share, rng)
        tags = _tags(len(text), tagged, block=rng.choice(_BLOCKS), rng=rng)
        return sorted(chain(tags, _references(text, style), _breaks(text)), key=lambda edit: (edit.start, edit.end))


def _tags(length: int, words: Iterable[tuple[int, int]], *, block: str, rng: Random) -> Iterator[Edit]:
    """One insertion at each place, so that the tags there keep their order."""
    inserted: defaultdict[int, str] = defaultdict(str)
    inserted[0] = f"<{block}>"
    for start, end in words:
        tag = rng.choice(_INLINE)
        inserted[start] += f"<{tag}>"
        inserted[end] += f"</{tag.partition(' ')[0]}>"
    inserted[length] += f"</{block}>"
    return (Edit(at, at, tags) for at, tags in inserted.items())


def _references(text: str, style: Style) -> Iterator[Edit]:
    """`&`, `<` and `>` always, and what is not ASCII in the style of the document."""
    for match in _MARKUP.finditer(text):
        yield Edit(*match.span(), f"&{codepoint2name[ord(match[0])]};")
    for match in _NOT_ASCII.finditer(text) if style != "none" else ():
        code = ord(match[0])
        if match[0].isprintable():  # a number does not stand for every control character
            named = style == "names" and code in codepoint2name
            yield Edit(*match.span(), f"&{codepoint2name[code]};" if named else f"&#{code};")


def _breaks(text: str) -> Iterator[Edit]:
    """A single line feed is a line break; several in a row stay, for tags that touch count as one break."""
    return (Edit(*match.span(), "<br>") for match in _SINGLE_LINE_FEED.finditer(text))
