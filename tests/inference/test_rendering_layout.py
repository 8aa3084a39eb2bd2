"""What the pictures of a Document rest on: the pieces that its text is cut into, and the colours of labels."""

from hypothesis import given
from hypothesis import strategies as st

from nlp_inference.document import Annotation, Document, Span
from nlp_inference.rendering._layout import make_marks, make_pieces
from nlp_inference.rendering._style import label_color, luminance


def test_a_label_keeps_its_colour_and_is_readable_on_it():
    assert label_color("PERSON") == label_color("PERSON") != label_color("DATE")
    for label in ("PERSON", "DATE", "IBAN", "ORG", "", "名", *map(str, range(300))):
        color = label_color(label)
        light = luminance(tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)))
        assert 1.05 / (light + 0.05) >= 4.5
        assert (light + 0.05) / 0.05 >= 4.4


SPANS = st.lists(
    st.builds(
        lambda start, size, label: Span(start=start, end=start + size, label=label),
        st.integers(0, 25),
        st.integers(1, 9),
        st.sampled_from("ABC"),
    ),
    max_size=12,
)
STRETCHES = st.lists(st.integers(0, 40), unique=True, max_size=6).map(
    lambda cuts: tuple(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)


@given(spans=SPANS, length=st.integers(0, 40), unread=STRETCHES)
def test_pieces_partition_the_text_and_every_mark_opens_and_closes_once(spans, length, unread):
    marks = make_marks(Document(raw_text="x" * 40, predicted=Annotation(spans=tuple(spans))))
    assert {(mark.start, mark.end, mark.label) for mark in marks} == {(s.start, s.end, s.label) for s in spans}
    pieces = list(make_pieces(marks, length, unread=unread))
    assert [place for piece in pieces for place in range(piece.start, piece.end)] == list(range(length))
    for piece in pieces:
        covering = {
            (mark.start, mark.label, mark.lane) for mark in marks if mark.start < piece.end and piece.start < mark.end
        }
        assert {(mark.start, mark.label, mark.lane) for mark in piece.marks} == covering
        assert len({mark.lane for mark in piece.marks}) == len(piece.marks)
        assert piece.unread == any(start <= piece.start and piece.end <= end for start, end in unread)
    shown = sum(mark.start < length for mark in marks)
    assert sum(len(piece.opening) for piece in pieces) == sum(len(piece.closing) for piece in pieces) == shown
