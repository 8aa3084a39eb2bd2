"""Law 2: what no edit touched maps to the same characters, order is kept, a replaced stretch widens to all of it."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chains, messy_texts, transforms
from thorough import examples

from nlp_inference.document import Document
from nlp_inference.transforms import Compose


def origins(document: Document) -> list[int]:
    """For each current character, the raw character that it is, or -1 if an edit touched it."""
    origin = list(range(len(document.raw_text)))
    for record in document.edits:
        for start, end, replacement in reversed(record.edits):
            origin[start:end] = [-1] * len(replacement)
    return origin


@settings(max_examples=examples(1500))
@given(raw=messy_texts, chain=chains, data=st.data())
def test_law_2_an_untouched_span_maps_to_the_same_characters_in_both_directions(raw, chain, data):
    document = Compose(chain)(Document(raw_text=raw))
    aligned, origin = document.aligned, origins(document)
    for at, raw_at in enumerate(origin):
        if raw_at >= 0:
            assert aligned.to_raw(at, at + 1) == (raw_at, raw_at + 1)
            assert aligned.to_current(raw_at, raw_at + 1) == (at, at + 1)
            assert raw[raw_at] == document.text[at]
    start = data.draw(st.integers(0, len(origin)))
    end = data.draw(st.integers(start, len(origin)))
    span = origin[start:end]
    if span and span[0] >= 0 and span == list(range(span[0], span[0] + len(span))):
        raw_start, raw_end = aligned.to_raw(start, end)
        assert raw[raw_start:raw_end] == document.text[start:end]


@settings(max_examples=examples(1000))
@given(raw=messy_texts, chain=chains)
def test_law_2_both_directions_keep_order_and_lose_nothing(raw, chain):
    document = Compose(chain)(Document(raw_text=raw))
    aligned = document.aligned
    to_raw = [aligned.to_raw(at, at + 1) for at in range(len(document.text))]
    to_current = [aligned.to_current(at, at + 1) for at in range(len(raw))]
    for spans, length in ((to_raw, len(raw)), (to_current, len(document.text))):
        assert all(0 <= start <= end <= length for start, end in spans)
        assert all(one[0] <= other[0] and one[1] <= other[1] for one, other in pairwise(spans))
    assert all(start < end for start, end in to_raw) or not raw


@settings(max_examples=examples(1000))
@given(raw=messy_texts, chain=chains, data=st.data())
def test_law_2_a_span_is_covered_by_what_its_image_maps_back_to(raw, chain, data):
    document = Compose(chain)(Document(raw_text=raw))
    aligned = document.aligned
    if document.text and raw:
        start = data.draw(st.integers(0, len(document.text) - 1))
        end = data.draw(st.integers(start + 1, len(document.text)))
        back = aligned.to_current(*aligned.to_raw(start, end))
        untouched = [at for at in range(start, end) if origins(document)[at] >= 0]
        assert not untouched or (back[0] <= untouched[0] and untouched[-1] < back[1])


@settings(max_examples=examples(1000))
@given(raw=messy_texts, transform=transforms, data=st.data())
def test_law_2_any_part_of_a_replaced_stretch_widens_to_the_whole_of_it(raw, transform, data):
    document = transform(Document(raw_text=raw))
    shift = 0
    for start, end, replacement in document.edits[0].edits if document.edits else ():
        place = (start + shift, start + shift + len(replacement))
        if start < end:
            first = data.draw(st.integers(start, end - 1))
            last = data.draw(st.integers(first + 1, end))
            assert document.aligned.to_current(first, last) == place
        if replacement:
            first = data.draw(st.integers(place[0], place[1] - 1))
            last = data.draw(st.integers(first + 1, place[1]))
            expected = (start, end) if start < end else ((start - 1, start) if start else (0, min(1, len(raw))))
            assert document.aligned.to_raw(first, last) == expected
        shift += len(replacement) - (end - start)
