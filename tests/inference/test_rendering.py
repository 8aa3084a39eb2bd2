"""A Document as HTML and in a terminal: what is shown, and that nothing of a hostile text takes effect."""

import re
from html.parser import HTMLParser
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from nlp_inference.document import Annotation, Category, Coverage, Document, Relation, Span
from nlp_inference.document.aligned_text import AlignedText, Edit
from nlp_inference.rendering import document_html, document_renderable
from nlp_inference.rendering._style import label_color

OWN_TAGS = {"div", "style", "span", "b", "i", "bdi", "details", "summary", "table", "tr", "td", "del", "ins", "small"}
OWN_ATTRIBUTES = {"class", "style", "title", "dir", "open"}
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff]")


class Page(HTMLParser):
    """What a browser would see: tags, attributes, chips, and the text of the document as it can be copied."""

    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.chips, self.texts, self.styles = set(), set(), [], [], []
        self._open = []
        self.feed(markup)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)
        classes = (dict(attributes).get("class") or "").split()
        self.styles.append(dict(attributes).get("style") or "")
        self._open.append((tag, classes, dict(attributes).get("title")))
        if "nlpi-chip" in classes:
            self.chips.append("")
        if "nlpi-text" in classes:
            self.texts.append("")
        if "nlpi-glyph" in classes and self._inside("nlpi-text"):
            self.texts[-1] += chr(int(self._open[-1][2].removeprefix("U+"), 16))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._inside("nlpi-chip"):
            self.chips[-1] += data
        elif self._inside("nlpi-text") and not self._inside("nlpi-glyph"):
            self.texts[-1] += data

    def _inside(self, name):
        return any(name in classes for _, classes, _ in self._open)


def spans(*rows):
    return Annotation(
        spans=tuple(Span(start=start, end=end, label=label, score=score) for start, end, label, score in rows)
    )


def terminal(document, *, width=100, color=False):
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=color,
        color_system="truecolor" if color else None,
        legacy_windows=False,
    )
    console.print(document_renderable(document))
    return console.file.getvalue()


def inside_frame(output):
    return [line[2:-2].rstrip() for line in output.splitlines()[1:-1]]


def test_predicted_spans_stand_on_the_raw_text_with_label_and_score():
    document = Document(raw_text="Ana lives in Rome", predicted=spans((0, 3, "PERSON", 0.987), (13, 17, "CITY", None)))
    page = Page(document_html(document))
    assert page.texts == ["Ana lives in Rome"]
    assert page.chips == ["PERSON0.99", "CITY"]
    assert inside_frame(terminal(document)) == ["[Ana PERSON 0.99] lives in [Rome CITY]"]


def test_nested_and_crossing_spans_are_all_shown_the_inner_label_first():
    document = Document(
        raw_text="Bank of England account",
        predicted=spans((0, 15, "ORG", 0.9), (8, 15, "PLACE", 0.6), (8, 23, "PRODUCT", 0.3)),
    )
    page = Page(document_html(document))
    assert page.texts == ["Bank of England account"]
    assert page.chips == ["PLACE0.60", "ORG0.90", "PRODUCT0.30"]
    assert inside_frame(terminal(document)) == ["[Bank of [[England PLACE 0.60] ORG 0.90] account PRODUCT 0.30]"]
    underlined = [
        sum(label_color(label) + "," in style for label in ("ORG", "PLACE", "PRODUCT")) for style in page.styles
    ]
    assert max(underlined) == 3


def test_gold_and_predicted_are_told_apart():
    document = Document(
        raw_text="Ana met Bob in Rome",
        gold=spans((0, 3, "PERSON", None), (8, 11, "PERSON", None)),
        predicted=spans((0, 3, "PERSON", 0.9), (15, 19, "PERSON", 0.4)),
    )
    assert Page(document_html(document)).chips == ["✓ PERSON0.90", "PERSONmissed", "✗ PERSON0.40"]
    assert "dashed: missed" in document_html(document)
    assert inside_frame(terminal(document)) == [
        "[Ana ✓ PERSON 0.90] met {Bob PERSON missed} in [Rome ✗ PERSON 0.40]",
        "✓ as in gold · ✗ not in gold · braces: missed",
    ]


def test_gold_alone_is_named_gold():
    document = Document(raw_text="Ana", gold=spans((0, 3, "PERSON", None)))
    assert Page(document_html(document)).chips == ["PERSONgold"]
    assert inside_frame(terminal(document)) == ["{Ana PERSON gold}"]


def test_categories_values_relations_and_generated_texts():
    predicted = Annotation(
        spans=(Span(start=0, end=3, label="P"), Span(start=4, end=7, label="P")),
        categories=(Category(label="low", score=0.25), Category(label="high", score=0.75)),
        relations=(Relation(head=1, tail=0, label="knows"),),
        values={"urgency": 0.5},
        generated=("a summary",),
    )
    gold = Annotation(categories=(Category(label="high"), Category(label="other")))
    document = Document(raw_text="Ana Bob", predicted=predicted, gold=gold)
    html = document_html(document)
    assert Page(html).chips[2:] == ["✓ high0.75", "low0.25", "othergold", "urgency0.50"]
    assert "<bdi>Bob</bdi> —knows→ <bdi>Ana</bdi>" in html
    assert "<bdi>a summary</bdi>" in html
    lines = inside_frame(terminal(document))
    assert "high   ━━━━━━━━━━━━      0.75  ✓" in lines
    assert "low    ━━━━              0.25" in lines
    assert {"Bob —knows→ Ana", "urgency = 0.5", "generated  a summary"} <= set(lines)


def test_only_the_best_categories_are_shown():
    categories = tuple(Category(label=f"intent_{i}", score=i / 100) for i in range(77))
    document = Document(raw_text="hi", predicted=Annotation(categories=categories))
    assert Page(document_html(document)).chips[0] == "intent_760.76"
    assert "and 69 less likely" in document_html(document)
    assert "and 69 less likely" in terminal(document)


def test_edits_are_shown_in_context_with_equal_ones_counted():
    aligned = AlignedText("<b>Ana</b>  met  Bob")
    aligned = aligned.edit("strip_html", 1, [Edit(0, 3, ""), Edit(6, 10, "")])
    aligned = aligned.edit("collapse_whitespace", 1, [Edit(3, 5, " "), Edit(8, 10, " ")])
    document = Document(raw_text="<b>Ana</b>  met  Bob").with_aligned(aligned)
    html = document_html(document)
    assert "4 edits by 2 transforms before the model read it" in html
    assert "<del>&lt;b&gt;</del><span>Ana&lt;/b&gt;  met  …</span>" in html
    assert "<span>Ana</span><del>␣␣</del><ins>␣</ins><span>met  Bob</span> <small>×2</small>" in html
    assert inside_frame(terminal(document))[2:] == [
        "4 edits by 2 transforms before the model read it",
        "strip_html ×2           <b>→Ana</b>  met  …",
        "                        <b>Ana</b>→  met  Bob",
        "collapse_whitespace ×2  Ana␣␣→␣met  Bob ×2",
    ]


def test_many_edits_and_long_ones_are_cut():
    text = "".join(chr(0x4E00 + i) for i in range(40)) + "x" * 500
    aligned = AlignedText(text).edit("t", 1, [*(Edit(i, i + 1, "a") for i in range(40)), Edit(40, 540, "")])
    document = Document(raw_text=text).with_aligned(aligned)
    for shown in (document_html(document), terminal(document)):
        assert "and 36 other changes" in shown
    deleted = Document(raw_text=text).with_aligned(AlignedText(text).edit("t", 1, [Edit(40, 540, "")]))
    assert f"<del>{'x' * 24}…{'x' * 16}</del>" in document_html(deleted)


def test_what_was_not_read_is_said_and_marked():
    coverage = Coverage(characters=11, read=6, windows=2, truncated=True, unread=((4, 7), (9, 11)))
    document = Document(raw_text="Ana met Bob").with_predicted(Annotation(), coverage=coverage)
    note = "The model did not see everything: 5 of 11 characters were not read, in 2 places; the text was truncated."
    html = document_html(document)
    assert note in html
    assert re.findall(r'<span class="nlpi-unread">(.*?)</span>', html) == ["met", "ob"]
    assert note in " ".join(" ".join(inside_frame(terminal(document, width=160))).split())


@pytest.mark.parametrize("coverage", [None, Coverage(characters=3, read=3, windows=1)])
def test_a_text_that_was_read_whole_has_no_warning(coverage):
    document = Document(raw_text="Ana").with_predicted(Annotation(), coverage=coverage)
    assert "did not see" not in document_html(document) + terminal(document)


@pytest.mark.parametrize(("draw", "limit"), [(document_html, 10_000), (terminal, 4_000)])
def test_long_texts_are_cut_with_a_note(draw, limit):
    document = Document(raw_text="Ana " * 5000, predicted=spans(*((4 * i, 4 * i + 3, "P", None) for i in range(5000))))
    drawn = draw(document)
    assert f"… {20_000 - limit:,} more characters not shown · 4,700 more spans not shown" in drawn
    assert len(drawn) < 200_000


def test_the_second_text_is_shown_with_its_own_edits():
    aligned_pair = AlignedText("wrote  it").edit("collapse_whitespace", 1, [Edit(5, 7, " ")])
    document = Document(raw_text="Who?", raw_text_pair="wrote  it")
    document = document.with_aligned(document.aligned, aligned_pair)
    assert Page(document_html(document)).texts == ["Who?", "wrote  it"]
    assert "<del>␣␣</del>" in document_html(document)
    assert {"text pair", "wrote  it", "collapse_whitespace ×1  wrote␣␣→␣it"} <= set(inside_frame(terminal(document)))


def test_right_to_left_text_finds_its_own_direction_and_keeps_its_joiners():
    text = "می\u200cخواهم \u200fתל אביב"
    page = document_html(Document(raw_text=text, predicted=spans((9, 17, "PLACE", 0.9))))
    assert 'dir="auto"' in page
    assert Page(page).texts == [text]
    assert "\u200c" in page


def test_jupyter_and_rich_find_the_pictures():
    document = Document(raw_text="Ana", predicted=spans((0, 3, "PERSON", 0.5)))
    assert document._repr_html_() == document_html(document)
    console = Console(file=StringIO(), width=60)
    console.print(document)
    assert console.file.getvalue() == terminal(document, width=60)


HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(1)>'`&lt;</div></style><!-- \x1b]8;;http://x\x07\x00\u202e"
)


def hostile_document(text, start, end):
    annotation = Annotation(
        spans=(Span(start=start, end=end, label=text, score=0.5), Span(start=0, end=len(text), label="x")),
        categories=(Category(label=text, score=0.5),),
        relations=(Relation(head=0, tail=1, label=text),),
        values={text: 0.5},
        generated=(text,),
    )
    aligned = AlignedText(text).edit(text, 1, [Edit(start, end, text[::-1])])
    document = Document(raw_text=text, raw_text_pair=text, id=text, predicted=annotation, gold=annotation)
    return document.with_aligned(aligned, aligned)


def check_that_nothing_survives(document):
    html = document_html(document)
    page = Page(html)
    assert page.tags <= OWN_TAGS
    assert page.attributes <= OWN_ATTRIBUTES
    assert page.texts == [document.raw_text, document.raw_text_pair]
    assert not CONTROLS.search(html.replace("\t", ""))
    drawn = terminal(document)
    assert not CONTROLS.search(drawn)


def test_no_markup_of_a_hostile_document_survives():
    document = hostile_document(HOSTILE, 2, 40)
    check_that_nothing_survives(document)
    colored = terminal(document, color=True)
    assert set(re.findall("\x1b(.)", colored)) == {"["}
    assert not CONTROLS.search(re.sub("\x1b\\[[0-9;]*m", "", colored))


PIECES = st.sampled_from(
    ["<b>", "</b>", "<script>", "</style>", '"', "'", "&amp;", "<!--", "-->", "[bold]", "[/]", "\x1b[2J", "\r"]
)
CHARACTERS = st.characters(exclude_categories=["Cs"])


@given(
    text=st.lists(st.one_of(PIECES, CHARACTERS, st.sampled_from("<>&a \n\t")), min_size=1).map("".join), data=st.data()
)
def test_no_tag_of_any_text_survives_and_every_character_is_shown(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    check_that_nothing_survives(hostile_document(text, start, end))


def test_labels_that_no_encoding_can_carry_are_shown_as_glyphs():
    document = Document.model_construct(raw_text="Ana", predicted=spans((0, 3, "P\ud800", 0.5)))  # not validated
    assert Page(document_html(document)).chips == ["P⟨U+D800⟩0.50"]
    assert inside_frame(terminal(document)) == ["[Ana P⟨U+D800⟩ 0.50]"]
    assert document_html(document).encode("utf-8")
