"""strip_html: what stays, what goes, and that no markup, however broken, takes more than linear time."""

import pytest
from cpu_time import takes_less_than
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import combinations, examples

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import apply_edits
from nlp_inference.transforms import StripHtml


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ""),
        ("no markup", "no markup"),
        ("3 < 5 and a>b", "3 < 5 and a>b"),
        ("a <b and c", "a <b and c"),
        ("a <- b -> c <3", "a <- b -> c <3"),
        ("<b>bold</b>face", "boldface"),
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<td>a</td><td>b</td>", "a\nb"),
        ("x<!-- a > b <p> -->y", "xy"),
        ("x<!-->y", "xy"),
        ("x<!--->y", "xy"),
        ("x<!-- a --!>y", "xy"),
        ("x<!-- never closed <b>y", "x"),
        ("<!DOCTYPE html><html>x</html>", "x"),
        ("<?xml version='1.0'?>x", "x"),
        ("x</ a>y</>z", "xyz"),
        ("<script>if (a < b) { '<p>' }</script>x", "x"),
        ("<STYLE type=css>p { }</sTyLe >x", "x"),
        ("x<script>never closed </scripty> <p>", "x"),
        ("<script/>x</script>y", "y"),
        ("<script>x</ſcript>y</script>z", "z"),
        ("<scripts>x</scripts>", "<scripts>x</scripts>"),
        ('<a href="a>b">x</a>', "x"),
        ("<a title='<b>' href=x>y</a>", "y"),
        ("<a title='never closed>y</a>", "y"),
        ('<a b="c"d=e>x', "x"),
        ("<img src=x onerror=alert(1)//>x", "x"),
        ("<a\nhref=x\n>y</a\n>", "y"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("&eacute &eacute;", "é é"),
        ("&notit; &notin;", "¬it; ∉"),
        ("&#233; &#xE9; &#233 &#128;", "é é é €"),
        ("&#0; &#xD800; &#x110000; &#9999999999999999999;", "� � � �"),
        ("&#0000000000000000065;", "A"),
        ("&#; &#x; &; &unknown; AT&T", "&#; &#x; &; &unknown; AT&T"),
        ("&NotEqualTilde;", "≂̸"),
        ("<<b>x</b>", "<x"),
        ("<\u00e9>", "<\u00e9>"),
        ("<title>a <!-- b <style> &amp; c</title>rest <b>x</b>", "a <!-- b <style> & c\nrest x"),
        ("<title>a <b>", "a <b>"),
        ("<TEXTAREA>&eacute; <b></textareas></TextArea >x", "é <b></textareas>\nx"),
        ("<xmp><b>&amp;</xmp>x", "<b>&amp;x"),
        ("<iframe><!-- a</iframe>b<noembed><p></noembed>c<noframes></p></noframes>", "<!-- ab<p>c</p>"),
        ("<plaintext><b></plaintext>&amp;", "<b></plaintext>&amp;"),
        ("<script><!-- <script> </script> --></script>x", "x"),
        ("<script><!--> </script>x", "x"),
        ("<script><!-- </script>x", "x"),
        ("<svg><![CDATA[a <b> &amp; ]]></svg>x", "a <b> &amp; x"),
        ("<math><mi><b>x</b></mi><![CDATA[y]]></math><![CDATA[z]]>", "xy"),
        ("<svg><desc><![CDATA[x]]></desc><p><![CDATA[y]]></p></svg>z", "z"),
        ("<svg><title>a<b>c</title></svg>d", "ac\nd"),
        ("<svg/><![CDATA[x]]>y", "y"),
        ("<svg><style/>x<script>y</script></svg>", "x"),
        ("<svg><![CDATA[never closed <b>", "never closed <b>"),
        ("<b<i>x</i>", "<bx"),
        ("<td nowrap width=5>x", "x"),
        ("<b and c> d", "<b and c> d"),
    ],
)
def test_what_stays_and_what_goes(raw, text):
    assert StripHtml()(Document(raw_text=raw)).text == text


@pytest.mark.parametrize(
    ("raw", "piece", "surface"),
    [
        ("<p>Dear <b>Ana</b>,</p>", "Ana", "Ana"),
        ("<p>Dear <b>Ana</b>,</p>", "Dear Ana,", "Dear <b>Ana</b>,"),
        ("J&uuml;rgen &amp; Co", "Jürgen", "J&uuml;rgen"),
        ("J&uuml;rgen &amp; Co", "&", "&amp;"),
        ("a</p> \n<p>b", "\n \n\n", "</p> \n<p>"),
        ("a</p><!-- x --><p>b", "\n", "</p><!-- x --><p>"),
        ("&ampx", "x", "x"),
        ("<td>1<script>2</script>3", "13", "1<script>2</script>3"),
    ],
)
def test_where_a_piece_came_from(raw, piece, surface):
    document = StripHtml()(Document(raw_text=raw))
    start = document.text.index(piece)
    raw_start, raw_end = document.aligned.to_raw(start, start + len(piece))
    assert raw[raw_start:raw_end] == surface


def test_the_separator_is_a_setting():
    assert StripHtml(separator=" / ")(Document(raw_text="<p>a</p><p>b")).text == "a / b"


PIECES = ["<", "<!--", "<!", "</", "<a ", '<a x="', "<a x='\"", "&", "&#", "&#1", "&amp", "<script>", "</script", "-->"]
PIECES += ["<title>", "<svg><desc>", "<textarea>&amp;", "<!--<script>", "<ab:", "<b q ", '<b a="<b c=1" ', "<b =x=1 "]
PIECES += ["<![CDATA[", '<a x=">', "<!---->", "<a/", '="', "<a>", "<?", "<style></style", '<a x=">"', "<!--x", "</a"]


FRAMES = ["{}", "<a {}", '{}>"', '<a x="{}>"', "{} zz>", "<svg>{}"]


@pytest.mark.parametrize(("piece", "frame"), combinations(PIECES, FRAMES))
def test_hostile_markup_takes_linear_time(piece, frame):
    text = frame.format(piece * (100_000 // len(piece)))
    with takes_less_than(10):
        edits = list(StripHtml(keep_attributes=("x", "a")).propose(text))
        assert len(apply_edits(text, edits)) <= len(text)
        deleted = list(StripHtml().find_deleted(text, edits))
    assert all(0 <= first < last <= len(text) for first, last in deleted)


@settings(deadline=None, max_examples=examples(500))
@given(st.lists(st.sampled_from([*PIECES, "x", " ", ">", '"', "'", "=", ";", "p", "</p>"]), max_size=20).map("".join))
def test_broken_markup_never_fails_and_never_grows(text):
    document = StripHtml()(Document(raw_text=text))
    assert len(document.text) <= len(text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<math><annotation-xml><![CDATA[Ana]]></annotation-xml></math>", "Ana"),
        ("<math><annotation-xml encoding='text/html'><![CDATA[Ana]]>Bob</annotation-xml></math>", "Bob"),
        ("<math><annotation-xml encoding=MathML-Content><![CDATA[Ana]]></annotation-xml></math>", "Ana"),
    ],
)
def test_annotation_xml_holds_html_only_if_it_says_so(html: str, text: str) -> None:
    assert StripHtml()(Document(raw_text=html)).text == text
