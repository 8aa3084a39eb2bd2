"""Plain text as HTML, as in web pages and mails."""

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
    """Convert plain text to HTML: a block, `<br>`, inline tags around words and gold spans, character references.

    The transform `strip_html` restores the text. Text that already contains markup is not changed.

    Args:
        probability: the probability that a document is changed.
        max_share: the maximum share of words and gold spans to put into inline tags.

    Example:
        >>> from nlp_training.augment import Augmenter
        >>> wrap = Augmenter([WrapHtml(probability=1)], seed=35)
        >>> wrap(Document(raw_text="AT&T à Nîmes"), epoch=0).document.raw_text
        '<p>AT&amp;T &agrave; <b>N&icirc;mes</b></p>'
    """

    name = "wrap_html"

    max_share: Share = 0.1

    def propose(self, document: Document, *, rng: Random, corpus: Corpus) -> Iterable[Edit]:
        """Return insertions of tags, and an edit for each character that becomes a reference."""
        text = document.raw_text
        if next(StripHtml().propose(text), None) is not None:
            return []
        style: Style = rng.choice(("none", "names", "numbers"))
        words = [*free_words(document), *((span.start, span.end) for span in lone_spans(document))]
        tagged = draw(sorted(words), self.max_share, rng)
        tags = _tags(len(text), tagged, block=rng.choice(_BLOCKS), rng=rng)
        return sorted(chain(tags, _references(text, style), _breaks(text)), key=lambda edit: (edit.start, edit.end))


def _tags(length: int, words: Iterable[tuple[int, int]], *, block: str, rng: Random) -> Iterator[Edit]:
    """Yield one insertion per position, so that tags at the same position keep their order."""
    inserted: defaultdict[int, str] = defaultdict(str)
    inserted[0] = f"<{block}>"
    for start, end in words:
        tag = rng.choice(_INLINE)
        inserted[start] += f"<{tag}>"
        inserted[end] += f"</{tag.partition(' ')[0]}>"
    inserted[length] += f"</{block}>"
    return (Edit(at, at, tags) for at, tags in inserted.items())


def _references(text: str, style: Style) -> Iterator[Edit]:
    """Yield references for `&`, `<` and `>`, and for other characters that are not ASCII in the chosen style."""
    for match in _MARKUP.finditer(text):
        yield Edit(*match.span(), f"&{codepoint2name[ord(match[0])]};")
    for match in _NOT_ASCII.finditer(text) if style != "none" else ():
        code = ord(match[0])
        if match[0].isprintable():  # not every control character has a numeric reference
            named = style == "names" and code in codepoint2name
            yield Edit(*match.span(), f"&{codepoint2name[code]};" if named else f"&#{code};")


def _breaks(text: str) -> Iterator[Edit]:
    """Replace single line feeds by `<br>`. Several in a row are kept because adjacent tags count as one break."""
    return (Edit(*match.span(), "<br>") for match in _SINGLE_LINE_FEED.finditer(text))
