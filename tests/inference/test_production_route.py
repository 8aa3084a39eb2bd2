"""The whole production route on texts as they come: transforms in sequence, windows, decoding, raw spans, redaction."""

import json

import pytest
from fakes import ScriptedBackend

from nlp_inference import Document, Predictor, Processor, TokenClassification, redact

PHRASES = {"ana kovács": "PERSON", "zoë o'neil": "PERSON", "zurich": "CITY", "são paulo": "CITY"}
CLEANING = [
    "fix_encoding",
    "strip_html",
    "remove_control",
    {"normalize_unicode": "NFKC"},
    "normalize_punctuation",
    "collapse_whitespace",
]


@pytest.fixture(scope="module")
def predictor(tokenizer):
    task = TokenClassification(labels=("PERSON", "CITY"))
    windows = {"max_length": 16, "overlap": 6}
    processor = Processor(tokenizer, task, CLEANING, ["trim_spans", {"min_score": 0.5}], windows)
    return Predictor(processor, ScriptedBackend(processor, PHRASES))


ROUTE = [
    # raw text, current text, raw surfaces that are found, redacted raw text
    (
        "<p>Dear <b>Ana&nbsp;KovÃ¡cs</b>,</p>\r\n<p>welcome to ZÃ¼rich!</p>",
        "Dear Ana Kovács, welcome to Zürich!",
        [("Ana&nbsp;KovÃ¡cs", "PERSON"), ("ZÃ¼rich", "CITY")],
        "<p>Dear <b>[PERSON]</b>,</p>\r\n<p>welcome to [CITY]!</p>",
    ),
    (
        "“Zoë\u00a0O’Neil” lives in\u00a0São\u202fPaulo…",
        '"Zoë O\'Neil" lives in São Paulo...',
        [("Zoë\u00a0O’Neil", "PERSON"), ("São\u202fPaulo", "CITY")],
        "“[PERSON]” lives in\u00a0[CITY]…",
    ),
    (
        "\ufeffZu\u00adrich,\u200b <i>Zu</i>rich &amp; Ｚｕｒｉｃｈ",
        "Zurich, Zurich & Zurich",
        [("Zu\u00adrich", "CITY"), ("Zu</i>rich", "CITY"), ("Ｚｕｒｉｃｈ", "CITY")],
        "\ufeff[CITY],\u200b <i>[CITY] &amp; [CITY]",
    ),
    (
        "Ana   \t Kova\u0301cs\n\n\nZurich Zurich",
        "Ana Kovács Zurich Zurich",
        [("Ana   \t Kova\u0301cs", "PERSON"), ("Zurich", "CITY"), ("Zurich", "CITY")],
        "[PERSON]\n\n\n[CITY] [CITY]",
    ),
    ("<script>Ana Kovács</script>", "", [], "<script>[UNREAD]</script>"),
    ("nobody here 👩\u200d💻", "nobody here 👩\u200d💻", [], "nobody here [UNREAD]"),
]


@pytest.mark.parametrize(("raw", "current", "found", "redacted"), ROUTE)
def test_exact_raw_spans_of_messy_texts(predictor, raw, current, found, redacted):
    (document,) = predictor.predict([raw])
    assert (document.raw_text, document.text) == (raw, current)
    assert [(document.surface(span), span.label) for span in document.predicted.spans] == found
    assert redact(document) == redacted
    assert Document.model_validate_json(document.model_dump_json()) == document


def test_exact_json_of_a_prediction(predictor):
    (document,) = predictor.predict([{"id": "t-1", "raw_text": "<b>Zurich</b>", "metadata": {"from": "web"}}])
    assert json.loads(document.model_dump_json(exclude_defaults=True)) == {
        "raw_text": "<b>Zurich</b>",
        "id": "t-1",
        "predicted": {"spans": [{"start": 3, "end": 9, "label": "CITY", "score": 1.0}]},
        "metadata": {"from": "web"},
        "edits": [{"transform": "strip_html", "version": 2, "edits": [[0, 3, ""], [9, 13, ""]]}],
        "coverage": {"characters": 13, "read": 13, "windows": 1},
    }


def test_a_letter_of_many_windows_is_read_to_its_end(predictor):
    line = "<p>It was raining when Ana&nbsp;Kovács left Zürich for SÃ£o Paulo.</p>\r\n"
    letter = line * 25
    (document,) = predictor.predict([letter])
    expected = [("Ana&nbsp;Kovács", "PERSON"), ("Zürich", "CITY"), ("SÃ£o Paulo", "CITY")] * 25
    assert [(document.surface(span), span.label) for span in document.predicted.spans] == expected
    assert document.coverage.windows > 25
    assert document.coverage.complete
    clean = "<p>It was raining when [PERSON] left [CITY] for [CITY].</p>\r\n"
    assert redact(document) == clean * 25


def test_equal_names_get_equal_numbers(predictor):
    (document,) = predictor.predict(["Zurich, São Paulo, Zurich"])
    assert redact(document, "<{label}_{entity}>") == "<CITY_1>, <CITY_2>, <CITY_1>"


def test_the_route_is_the_same_after_saving(predictor, tmp_path):
    predictor.processor.save_pretrained(tmp_path)
    processor = Processor.from_pretrained(tmp_path)
    again = Predictor(processor, ScriptedBackend(processor, PHRASES))
    texts = [raw for raw, *_ in ROUTE]
    assert again.predict(texts) == predictor.predict(texts)


def test_all_of_it_in_one_call_and_one_by_one_is_the_same(predictor):
    items = [Document(raw_text=raw, id=str(number)) for number, (raw, *_) in enumerate(ROUTE)]
    assert predictor.predict(items) == [predictor.predict([item])[0] for item in items]
