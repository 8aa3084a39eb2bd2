"""Law 1: `raw_text` never changes, and `text` is the replay of the edit records on it."""

from hypothesis import given, settings
from strategies import TRANSFORMS, chains, messy_texts
from thorough import examples

from nlp_inference.document import Document
from nlp_inference.document.aligned_text import AlignedText, apply_edits
from nlp_inference.transforms import Compose, Transform


def test_every_built_in_transform_takes_part():
    built_in = {name for name, member in Transform.members.items() if member.__module__.startswith("nlp_inference.")}
    assert set(TRANSFORMS) == built_in


@settings(max_examples=examples(1500))
@given(raw=messy_texts, pair=messy_texts, chain=chains)
def test_law_1_text_is_the_replay_of_the_records_on_a_raw_text_that_never_changes(raw, pair, chain):
    document = Compose(chain)(Document(raw_text=raw, raw_text_pair=pair))
    for text, records, before, aligned in (
        (document.text, document.edits, raw, document.aligned),
        (document.text_pair, document.edits_pair, pair, document.aligned_pair),
    ):
        assert aligned.raw == before
        replayed = before
        for record in records:
            replayed = apply_edits(replayed, record.edits)
        assert replayed == text == AlignedText(before, records).current
    assert (document.raw_text, document.raw_text_pair) == (raw, pair)


@settings(max_examples=examples(500))
@given(raw=messy_texts, chain=chains)
def test_law_1_a_document_read_from_json_has_the_same_text_and_the_same_map(raw, chain):
    document = Compose(chain)(Document(raw_text=raw))
    again = Document.model_validate_json(document.model_dump_json())
    assert (again.raw_text, again.text, again.edits) == (raw, document.text, document.edits)
    for at in range(len(document.text)):
        assert again.aligned.to_raw(at, at + 1) == document.aligned.to_raw(at, at + 1)


@settings(max_examples=examples(500))
@given(raw=messy_texts, chain=chains)
def test_law_1_steps_that_change_nothing_leave_no_record_and_the_records_name_the_others(raw, chain):
    document = Document(raw_text=raw)
    expected = []
    for step in chain:
        before = document.text
        document = step(document)
        expected += [step.name] if document.text != before else []
    assert [record.transform for record in document.edits] == expected
