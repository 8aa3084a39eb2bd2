"""Law 9: a config from a stranger runs no code: what is unknown is refused by name, what is broken is a clear error."""

import copy
import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import json_values
from thorough import examples
from transformers import AutoProcessor

from nlp_inference import Document, Processor
from nlp_inference.errors import ArtefactError, InvalidSpecError, NlpInferenceError, UnknownTypeError

CONFIG = {
    "processor_class": "Processor",
    "format_version": 2,
    "task": {"token-classification": {"labels": ["PERSON", "CITY"], "scheme": "BIO", "aggregation": "mean"}},
    "preprocess": [
        "fix_encoding",
        {"normalize_unicode": "NFKC"},
        {"replace_regex": {"pattern": "#+", "replacement": " ", "timeout": 1.0}},
        {"mask": ["url", "email"]},
    ],
    "postprocess": [
        "trim_spans",
        {"min_score": {"threshold": 0.5, "labels": {"CITY": 0.7}}},
        {"map_labels": {"labels": {"A": "B"}}},
    ],
    "windows": {"max_length": 24, "overlap": 6, "on_overflow": "split"},
}


def changed(**updates):
    return {**copy.deepcopy(CONFIG), **updates}


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        (changed(preprocess=["os.system"]), UnknownTypeError, "unknown transform 'os.system'"),
        (changed(preprocess=[{"exec": "1"}]), UnknownTypeError, "unknown transform 'exec'"),
        (changed(preprocess=["trim_spans"]), UnknownTypeError, "unknown transform 'trim_spans'"),
        (changed(postprocess=["lowercase"]), UnknownTypeError, "unknown post-transform 'lowercase'"),
        (changed(postprocess=["trim_span"]), UnknownTypeError, "did you mean 'trim_spans'"),
        (changed(task="builtins.eval"), UnknownTypeError, "unknown task 'builtins.eval'"),
        (changed(task={"text-classification": {}}), InvalidSpecError, "labels"),
        (changed(task={"token-classification": {"labels": []}}), InvalidSpecError, "labels"),
        (changed(task={"token-classification": {"labels": ["A", "A"]}}), InvalidSpecError, "repeated"),
        (changed(task=None), InvalidSpecError, "None"),
        (changed(preprocess=[{"lowercase": {"x": 1}}]), InvalidSpecError, "unknown key 'x'"),
        (changed(preprocess=[{"lowercase": 1, "casefold": 1}]), InvalidSpecError, "cannot read"),
        (changed(preprocess="lowercase"), InvalidSpecError, "list"),
        (changed(preprocess=5), InvalidSpecError, "list"),
        (changed(preprocess={"lowercase": None}), InvalidSpecError, "list"),
        (changed(preprocess=[{"replace_regex": "("}]), InvalidSpecError, "not a regular expression"),
        (changed(windows={"max_length": 0}), InvalidSpecError, "max_length"),
        (changed(windows={"max_length": 2, "overlap": 0}), InvalidSpecError, "room for 0 tokens"),
        (changed(windows={"max_length": 24, "overlap": 12}), InvalidSpecError, "decrease windows.overlap"),
        (changed(windows={"max_length": 100_000}), InvalidSpecError, "512"),
        (changed(windows={"stride": 1}), InvalidSpecError, "unknown key 'stride'"),
        (changed(windows=[1]), InvalidSpecError, "windows"),
        (changed(format_version=3), ArtefactError, "format version 3"),
        (changed(format_version="1"), ArtefactError, "format version '1'"),
        (changed(colour="red"), ArtefactError, "unknown: \\['colour'\\]"),
        ({}, ArtefactError, "check that this version of nlp-inference"),
    ],
)
def test_law_9_what_does_not_fit_is_refused_by_name(tokenizer, config, error, said):
    with pytest.raises(error, match=said):
        Processor.from_args_and_dict([tokenizer], config)


def everywhere(value, path=()):
    """Paths to every value inside a JSON value."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from everywhere(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from everywhere(inner, (*path, index))


PLACES = [path for path in everywhere(CONFIG) if path]
NASTY = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 2**31, 2**70, 1e308, 0.5, "", "x", "\x00", [], {}, [[]], [None], {"": None}),
        *("lowercase", ["lowercase"], {"lowercase": {}}, "__import__('os')", {"__class__": "os"}, "(a+)+$", "\\", "["),
        *({"replace_regex": {"pattern": "x", "replacement": "\\9"}}, {"text-classification": ["A"]}, "first", "NFD"),
    ]
)


@st.composite
def mutated_configs(draw):
    config = copy.deepcopy(CONFIG)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(PLACES))
        holder = config
        try:
            for step in way:
                holder = holder[step]
            action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
            if action == "replace":
                holder[last] = draw(NASTY | json_values)
            elif action == "remove":
                del holder[last]
            elif isinstance(holder, dict):
                holder[draw(st.text(max_size=5))] = draw(NASTY | json_values)
            else:
                holder.insert(last, draw(NASTY | json_values))
        except (KeyError, IndexError, TypeError, AttributeError):  # an earlier change took the place away
            continue
    return config


@settings(max_examples=examples(1500))
@given(config=mutated_configs())
def test_law_9_a_mutated_config_gives_a_clear_error_or_a_working_processor(tokenizer, config):
    with suppress(NlpInferenceError):
        walk_the_route(Processor.from_args_and_dict([tokenizer], json.loads(json.dumps(config))))


def walk_the_route(processor):
    text = "Ana ##lives in Rome, see https://x.org " * 3
    (encoded,) = processor.encode([Document(raw_text=text, gold=gold_for(processor))])
    rows = processor.rows(encoded)
    outputs = [
        {"logits": np.zeros((len(row.input_ids), *output["logits"].shape[1:]), dtype=np.float32)}
        if processor.task.needs == "spans"
        else output
        for row, output in zip(rows, processor.task.perfect_outputs(encoded, rows), strict=True)
    ]
    assert processor.decode_outputs(encoded, rows, outputs).raw_text == text


def gold_for(processor):
    label = processor.task.labels[0]
    found = [{"start": 0, "end": 3, "label": label}] if processor.task.needs == "spans" else []
    chosen = [] if found else [{"label": label}]
    return Document(raw_text="Ana", gold={"spans": found, "categories": chosen}).gold


@pytest.fixture
def stranger(saved_model, tmp_path):
    """A copy of a saved model, and a function that writes another processor_config.json into it."""
    folder = shutil.copytree(saved_model, tmp_path / "stranger")

    def write(text):
        (folder / "processor_config.json").write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(changed(preprocess=["os.system"])), "unknown transform 'os.system'"),
        (json.dumps(changed(format_version=99)), "format version 99"),
        (json.dumps(changed(colour="red")), "colour"),
    ],
)
def test_law_9_a_folder_from_a_stranger_is_refused(stranger, text, said):
    with pytest.raises(NlpInferenceError, match=said):
        Processor.from_pretrained(stranger(text))


def test_law_9_code_in_the_folder_does_not_run(stranger, tmp_path):
    config = changed(auto_map={"AutoProcessor": "evil.Processor"}, preprocess=["evil.Transform"])
    folder = stranger(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Processor: pass\n", encoding="utf-8")
    with pytest.raises(UnknownTypeError, match=r"unknown transform 'evil\.Transform'"):
        Processor.from_pretrained(folder)
    with pytest.raises((NlpInferenceError, ValueError)):
        AutoProcessor.from_pretrained(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"Processor"', "[" * 100_000])
def test_law_9_a_file_that_is_no_config_is_a_clear_error(stranger, text):
    with pytest.raises(NlpInferenceError, match=r"processor_config\.json"):
        Processor.from_pretrained(stranger(text))


def test_law_9_a_folder_without_a_config_is_a_clear_error(stranger):
    folder = stranger("{}")
    (folder / "processor_config.json").unlink()
    with pytest.raises(NlpInferenceError, match=r"processor_config\.json"):
        Processor.from_pretrained(folder)
