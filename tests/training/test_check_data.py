"""`nlp-training check-data`: each finding, on a few made-up documents, with its exact count."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up_records import write_jsonl
from typer.testing import CliRunner

from nlp_inference.errors import InvalidSpecError
from nlp_training import RunConfig
from nlp_training.cli import app
from nlp_training.data_report.check import DataCheck, check_data
from nlp_training.data_report.judge import Bounds

Found = dict[tuple[str, str, str], int]


def spanned(text: str, *spans: tuple[str, str]) -> dict[str, Any]:
    """A record in which the first occurrences of some phrases have labels."""
    return {
        "text": text,
        "spans": [
            {"start": text.index(phrase), "end": text.index(phrase) + len(phrase), "label": label}
            for phrase, label in spans
        ],
    }


def labelled(text: str, label: str) -> dict[str, Any]:
    return {"text": text, "label": label}


@pytest.fixture
def check(tiny_base: Path, tmp_path: Path):
    """Checks records, by split, with a processor."""

    def run(
        splits: dict[str, list[dict[str, Any]]], *, task: str = "token-classification", rare: int = 0, **processor: Any
    ) -> DataCheck:
        files = {name: str(write_jsonl(tmp_path / f"{name}.jsonl", records)) for name, records in splits.items()}
        test = {name: file for name, file in files.items() if name not in {"train", "validation"}}
        data = {**{name: file for name, file in files.items() if name not in test}, "test": test}
        content = {"name": "made-up", "model": {"base": str(tiny_base)}, "data": data}
        config = RunConfig.model_validate({**content, "processor": {"task": task, **processor}})
        return check_data(config, bounds=Bounds(rare=rare))

    return run


def found_in(check: DataCheck) -> Found:
    return {(str(one.severity), one.kind, one.split): one.count for one in check.findings}


TRAIN = [spanned("Ana lives in Rome today", ("Ana", "PERSON"), ("Rome", "CITY"))]


def test_sound_data_have_no_finding(check):
    found = check({"train": TRAIN, "test": [spanned("Bo went to Oslo", ("Bo", "PERSON"), ("Oslo", "CITY"))]})
    assert found_in(found) == {}
    assert found.ok
    train = found.splits["train"]
    assert (train.documents, train.characters, train.tokens, train.windows, train.annotations) == (1, 23, 5, 1, 2)
    assert (train.ceiling["f1"], dict(train.labels)) == (1.0, {"PERSON": 1, "CITY": 1})


@pytest.mark.parametrize(
    ("train", "options", "expected"),
    [
        ([spanned("")], {}, {("warning", "empty-text", "train"): 1}),
        (
            [spanned("<p> </p>")],
            {"preprocess": ["strip_html"]},
            {("warning", "emptied-text", "train"): 1, ("note", "changed", "train"): 1},
        ),
        (
            [spanned("Ana lives in Rome", ("Rome", "CITY"))],
            {"preprocess": ["strip_html", "collapse_whitespace"]},
            {("note", "idle-transform", "all"): 2},
        ),
        (
            [spanned("To Rome .", ("Rome .", "CITY"))],
            {},
            {("note", "punctuation-edge", "train"): 1},
        ),
        (
            [spanned("To Rome now", ("Rome ", "CITY"))],
            {},
            {("warning", "blank-edge", "train"): 1, ("error", "ceiling", "train"): 1},
        ),
        (
            [spanned("a b c d e f g h", ("b c d e f", "CITY"))],
            {"windows": {"max_length": 6, "overlap": 2}},
            {("warning", "divided", "train"): 1, ("note", "long-text", "train"): 1},
        ),
        (
            [spanned("a b c d e f g h", ("b", "CITY"))],
            {"windows": {"max_length": 6, "overlap": 2, "on_overflow": "truncate"}},
            {("warning", "truncated", "train"): 1},
        ),
        ([spanned("Rome 😂 😂")], {}, {("warning", "unknown-token", "train"): 2}),
        ([{**spanned("Rome"), "text_pair": "It is 😂"}], {}, {("warning", "unknown-token", "train"): 1}),
        ([{**spanned("Rome"), "text_pair": " "}], {}, {("warning", "empty-text", "train"): 1}),
        (
            [{**spanned("Rome"), "text_pair": "<p> </p>"}],
            {"preprocess": ["strip_html"]},
            {("warning", "emptied-text", "train"): 1, ("note", "changed", "train"): 1},
        ),
        (
            [spanned("Jordan sings", ("Jordan", "PERSON")), spanned("In Jordan", ("Jordan", "CITY"))],
            {},
            {("warning", "ambiguous-surface", "all"): 1},
        ),
        (
            [spanned("To Rome", ("Rome", "CITY")), spanned("Of Rome")],
            {},
            {("warning", "inconsistent-surface", "all"): 1},
        ),
    ],
)
def test_what_texts_and_spans_have_is_counted(check, train, options, expected):
    splits = {"train": [*train, spanned("Eva, Paris", ("Eva", "PERSON"), ("Paris", "CITY"))]}
    assert found_in(check(splits, **options)) == expected


def test_texts_that_occur_again_are_counted_and_an_error_where_they_leak_from_train(check):
    one, two, three = ("Where is my new card, please", "Please send my card today", "How do I pay in another country")
    found = check(
        {
            "train": [labelled(one, "x"), labelled(one, "x"), labelled(two, "y"), labelled(f"{two}!", "y")],
            "validation": [labelled(three, "x"), labelled("Is there a fee for my account", "y")],
            "test": [labelled(one, "y"), labelled(three, "x"), labelled("please send my CARD today", "y")],
        },
        task="text-classification",
    )
    assert found_in(found) == {
        ("error", "leaked", "test"): 1,
        ("warning", "leaked", "test"): 1,
        ("warning", "near-leaked", "test"): 1,
        ("warning", "contradiction", "test"): 1,
        ("note", "repeated", "train"): 1,
        ("note", "near-repeated", "train"): 1,
    }
    assert [one.text for one in found.findings if one.kind == "leaked"] == [
        "document whose text is also in train (33.3 %)",
        "document whose text is also in validation (33.3 %)",
    ]


def test_a_leak_within_its_bound_is_a_warning(check):
    texts = [f"{first} {second} again" for first in ("Ana", "Bo", "Eva", "Finn") for second in ("sings", "sleeps")]
    test = [labelled(f"{number:08} {number:08}", "xy"[number % 2]) for number in range(92)]
    splits = {
        "train": [labelled(text, "xy"[index % 2]) for index, text in enumerate(texts)],
        "test": [*test, labelled(texts[0], "x"), *(labelled(f"{name} of the north", "y") for name in "ABCDEFG")],
    }
    found = check(splits, task="text-classification")
    assert {one.kind: (str(one.severity), one.count) for one in found.findings if one.kind == "leaked"} == {
        "leaked": ("warning", 1)
    }
    assert found.splits["test"].documents == 100


def test_rare_and_missing_labels_are_counted(check):
    splits = {
        "train": [labelled(f"{word} it is", label) for word, label in zip("abcdefg", "xxxxyyz", strict=True)],
        "test": [labelled(f"{word} was here", "x") for word in "hij"],
    }
    task = {"text-classification": {"labels": ["x", "y", "z", "never"]}}
    found = check(splits, task=task, rare=3)
    assert [(str(one.severity), one.kind, one.split, one.text) for one in found.findings] == [
        (
            "warning",
            "missing-label",
            "train",
            "label of the task that does not occur and cannot be learned: never",
        ),
        ("warning", "missing-label", "test", "label that does not occur and is not measured: y, z, never"),
        ("warning", "rare-label", "train", "label with fewer than 3 examples: z 1, y 2"),
    ]


def test_a_ceiling_below_its_bound_and_a_label_that_is_always_lost_are_errors(check):
    train = [spanned(f"Ana{index} likes Romes{index}", ("Rome", "CITY"), ("Ana", "PERSON")) for index in range(3)]
    found = check({"train": train}, postprocess=[{"drop_labels": "CITY"}], rare=1)
    errors = {one.kind: (one.count, one.text) for one in found.findings if one.severity == "error"}
    more = (
        "more than data.max_lost_gold allows (10 %): for 'its edge lies inside a word': annotate complete words, set "
        "words of the task to unicode if it is another value, or set aggregation: none"
    )
    assert errors == {
        "ceiling": (6, f"gold annotation, of 6, that no model can predict: f1 0.0000 at best; {more}"),
        "hopeless-label": (2, "label that no model can predict correctly: CITY, PERSON"),
    }
    assert found.splits["train"].lost_by_cause() == {"its edge lies inside a word": 6}


def test_a_label_with_few_examples_is_not_called_hopeless(check):
    train = [spanned(f"Romes{index}", ("Rome", "CITY")) for index in range(2)]
    assert ("error", "hopeless-label", "train") not in found_in(check({"train": train}, rare=3))
    assert found_in(check({"train": train}, rare=2))["error", "hopeless-label", "train"] == 1


def test_lost_gold_within_the_bound_is_a_warning_with_cause_and_line(check):
    train = [spanned(f"Ana {word}", ("Ana", "PERSON")) for word in ("sings", "sleeps", "swims", "stays", "sails")]
    found = check({"train": [*train, *train[:4], spanned("Annas", ("Anna", "PERSON"))]})
    [one] = [one for one in found.findings if one.kind == "ceiling"]
    assert (str(one.severity), one.count) == ("warning", 1)
    assert one.text == "gold annotation, of 10, that no model can predict: f1 0.9000 at best"
    assert one.examples[0].endswith("train.jsonl:10: PERSON 'Anna': its edge lies inside a word")


def test_what_training_would_refuse_is_told_all_at_once(check):
    nested = {"text": "Ana Rome", "spans": [{"start": 0, "end": 8, "label": "CITY"}, *TRAIN[0]["spans"][:1]]}
    splits = {
        "train": [*TRAIN, nested, {"text": "Ana", "spans": "?"}, {"id": 1, "text": "Bo"}, {"nothing": 1}],
        "test": [spanned("Rex barks", ("Rex", "DOG")), labelled("Hello", "x")],
        "other": [],
    }
    found = check(splits)
    errors = {(one.kind, one.split): one for one in found.findings if one.severity == "error"}
    assert {key: one.count for key, one in errors.items()} == {
        ("unreadable", "train"): 2,
        ("overlap", "train"): 1,
        ("no-gold", "train"): 1,
        ("wrong-gold", "test"): 1,
        ("empty", "other"): 1,
        ("ceiling", "train"): 1,
        ("ceiling", "test"): 1,
    }
    [unknown] = [one for one in found.findings if one.kind == "unknown-label"]
    assert (str(unknown.severity), unknown.split, unknown.count) == ("warning", "test", 1)
    assert "train.jsonl:3: span 0 is '?'" in errors["unreadable", "train"].examples[0]
    assert "train.jsonl:5: " in errors["unreadable", "train"].examples[1]
    assert "train.jsonl:2' has overlapping spans" in errors["overlap", "train"].examples[0]
    assert not found.ok


def test_without_a_source_or_a_label_the_rest_is_told(check, tmp_path, tiny_base):
    found = check({"train": [spanned("Nothing here")]})
    assert [(one.kind, one.split, one.count) for one in found.findings] == [("no-processor", "train", 1)]
    assert "no document has spans, so there is nothing to learn" in found.findings[0].examples[0]
    config = {
        "name": "gone",
        "model": {"base": str(tiny_base)},
        "data": {"train": str(tmp_path / "gone.jsonl"), "validation": str(tmp_path / "gone too.jsonl")},
        "processor": {"task": "token-classification"},
    }
    found = check_data(RunConfig.model_validate(config))
    assert [(one.kind, one.split) for one in found.findings] == [("unreadable", "train"), ("unreadable", "validation")]
    assert not found.ok


def test_a_document_that_cannot_be_encoded_is_named_and_the_others_are_measured(check):
    pair = {"text_a": "Hello", "text_b": "word " * 50, "label": "x"}
    found = check(
        {"train": [labelled("Hi", "x"), pair, labelled("Bye", "x")]},
        task="text-classification",
        windows={"max_length": 16},
    )
    assert found_in(found) == {("error", "failed", "train"): 1}
    assert "train.jsonl:2: document" in found.findings[0].examples[0]
    assert found.splits["train"].documents == 2


def write_config(tmp_path: Path, base: Path, records: list[dict[str, Any]]) -> Path:
    content = {
        "name": "made-up",
        "model": {"base": str(base)},
        "data": {"train": str(write_jsonl(tmp_path / "train.jsonl", records))},
        "processor": {"task": "token-classification", "preprocess": ["strip_html"]},
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_command_prints_the_summary_first_and_exits_with_0(tiny_base, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    records = [spanned(f"<b>Ana</b> likes {word}", ("Ana", "PERSON")) for word in ("Rome", "milk", "you")]
    result = CliRunner().invoke(app, ["check-data", str(write_config(tmp_path, tiny_base, records))])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "made-up: 0 errors, 1 warning, 1 note"
    assert max(map(len, lines)) <= 100
    assert "rare-label 1 × label with fewer than 10 examples: PERSON 3" in result.stdout
    assert "changed 3 × document changed by transforms: strip_html 100.0 %" in result.stdout


def test_the_command_writes_json_and_exits_with_1_on_errors(tiny_base, tmp_path):
    records = [spanned("Annas <b>", ("Anna", "PERSON"), ("<b>", "CITY"))]
    config, output = write_config(tmp_path, tiny_base, records), tmp_path / "check.json"
    result = CliRunner().invoke(app, ["check-data", str(config), "--json", "--output", str(output), "--rare", "0"])
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert json.loads(output.read_text()) == content
    assert (content["ok"], content["errors"], content["warnings"], content["notes"]) == (False, 2, 0, 1)
    place = {"document": str(tmp_path / "train.jsonl:1")}
    assert content["splits"]["train"]["lost_gold"] == [
        {**place, "start": 0, "end": 4, "label": "PERSON", "cause": "its edge lies inside a word", "text": "Anna"},
        {**place, "start": 6, "end": 9, "label": "CITY", "cause": "deleted by strip_html", "text": "<b>"},
    ]
    assert content["splits"]["train"]["lost_by_cause"] == {"its edge lies inside a word": 1, "deleted by strip_html": 1}


def test_the_bounds_are_options_and_a_mistake_in_the_configuration_is_one_line(tiny_base, tmp_path):
    config = write_config(tmp_path, tiny_base, [spanned("Annas and Ana", ("Anna", "PERSON"))])
    run = CliRunner().invoke
    assert run(app, ["check-data", str(config)]).exit_code == 1
    assert run(app, ["check-data", str(config), "--min-ceiling", "0"]).exit_code == 1
    assert run(app, ["check-data", str(config), "data.max_lost_gold=1", "--min-ceiling", "0"]).exit_code == 0
    result = run(app, ["check-data", str(config), "processor.preproces=[strip_html]"])
    assert (result.exit_code, result.stderr.startswith("InvalidSpecError: ")) == (1, True)


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"loss": "focl"}, "focal"),
        ({"loss": {"focal": {"gama": 2}}}, "gama"),
        ({"metrics": ["no_such_metric"]}, "no_such_metric"),
        ({"augment": [{"keyboard_typo": 0.2}]}, "keyboard_typos"),
        ({"fit": ["threshold"]}, "thresholds"),
        ({"fit": ["thresholds"]}, "thresholds"),  # a tagger has none
    ],
)
def test_a_component_that_training_would_refuse_is_an_error_of_the_check(tiny_base, tmp_path, section, named):
    files = {name: str(write_jsonl(tmp_path / f"{name}.jsonl", TRAIN)) for name in ("train", "validation")}
    content = {"name": "made-up", "model": {"base": str(tiny_base)}, "data": files}
    config = RunConfig.model_validate({**content, "processor": {"task": "token-classification"}, **section})
    with pytest.raises(InvalidSpecError, match=named):
        check_data(config)
