"""Law 3: Documents, transforms, tasks and processors survive saving unchanged; what would be dropped is an error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from strategies import POST_TRANSFORMS, chains, documents, messy_texts, post_transforms, tasks, transforms
from thorough import examples
from transformers import AutoProcessor

from nlp_inference import Document, PostTransform, Processor, Span, Task, TokenClassification, Transform
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import ArtefactError, InvalidSpecError

windows = st.builds(
    WindowSettings,
    max_length=st.integers(16, 512),
    overlap=st.integers(0, 5),
    on_overflow=st.sampled_from(["split", "truncate"]),
)


def through_json(value):
    return json.loads(json.dumps(value))


@settings(max_examples=examples(700))
@given(document=documents())
def test_law_3_a_document_survives_json(document):
    again = Document.model_validate_json(document.model_dump_json())
    assert again == document
    assert again.model_dump_json() == document.model_dump_json()
    assert Document.model_validate(through_json(document.model_dump(mode="json"))) == document


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_law_3_a_number_that_json_would_drop_is_refused(number):
    with pytest.raises(ValidationError, match="finite"):
        Span(start=0, end=1, label="X", score=number)
    with pytest.raises(ValidationError, match="finite"):
        Document(raw_text="x", gold={"values": {"rating": number}})
    with pytest.raises(ValidationError, match="finite"):
        Document(raw_text="x", gold={"categories": [{"label": "X", "score": number}]})
    with pytest.raises(ValidationError, match="metadata"):
        Document(raw_text="x", metadata={"rating": [number]})


def test_every_built_in_post_transform_takes_part():
    members = PostTransform.members.items()
    built_in = {name for name, member in members if member.__module__.startswith("nlp_inference.")}
    assert set(POST_TRANSFORMS) == built_in


@settings(max_examples=examples(500))
@given(transform=transforms | post_transforms, text=messy_texts)
def test_law_3_a_transform_survives_its_specification(transform, text):
    kind = Transform if isinstance(transform, Transform) else PostTransform
    again = kind.from_spec(through_json(transform.to_spec()))
    assert again == transform
    assert type(again) is type(transform)
    assert again(Document(raw_text=text)) == transform(Document(raw_text=text))


@settings(max_examples=examples(300))
@given(task=tasks)
def test_law_3_a_task_survives_its_specification(task):
    again = Task.from_spec(through_json(task.to_spec()))
    assert again == task
    assert again.model_settings() == task.model_settings()


def same_settings(one: Processor, other: Processor) -> bool:
    names = ("task", "preprocess", "postprocess", "windows", "format_version")
    return all(getattr(one, name) == getattr(other, name) for name in names)


processor_settings = st.fixed_dictionaries(
    {"task": tasks, "preprocess": chains, "postprocess": st.lists(post_transforms, max_size=4), "windows": windows}
)


@settings(max_examples=examples(300))
@given(chosen=processor_settings)
def test_law_3_a_processor_survives_its_dictionary(tokenizer, chosen):
    processor = Processor(tokenizer, **chosen)
    saved = through_json(processor.to_dict())
    again = Processor.from_args_and_dict([tokenizer], saved)
    assert same_settings(again, processor)
    assert again.to_dict() == processor.to_dict()


@settings(max_examples=6)
@given(chosen=processor_settings, document=documents())
def test_law_3_a_processor_survives_its_folder(tokenizer, tmp_path_factory, chosen, document):
    processor = Processor(tokenizer, **chosen)
    folder = tmp_path_factory.mktemp("processor")
    processor.save_pretrained(folder)
    again = Processor.from_pretrained(folder)
    assert same_settings(again, processor)
    document = document.unannotated().model_copy(update={"raw_text_pair": "?" if processor.task.needs_pair else None})
    one, other = processor([document]), again([document])
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


def test_law_3_auto_processor_gives_the_same_processor(saved_model, token_processor):
    found = AutoProcessor.from_pretrained(saved_model)
    assert type(found) is Processor
    assert same_settings(found, token_processor)


def test_law_3_saving_what_was_loaded_writes_the_same_files(saved_model, tmp_path):
    Processor.from_pretrained(saved_model).save_pretrained(tmp_path)
    for name in ("processor_config.json", "tokenizer.json"):
        assert (tmp_path / name).read_bytes() == (saved_model / name).read_bytes()


@pytest.mark.parametrize("kind", [Transform, PostTransform, Task])
def test_law_3_an_unknown_field_is_an_error(kind):
    for name, member in kind.members.items():
        if member.__module__.startswith("nlp_inference."):
            with pytest.raises(InvalidSpecError, match="unknown key 'colour'"):
                kind.from_spec({name: {"colour": "red"}})
            with pytest.raises(ValidationError, match="colour"):
                member(colour="red")


def test_law_3_an_unknown_argument_of_a_processor_is_an_error(tokenizer, saved_model):
    with pytest.raises(TypeError, match="window"):
        Processor(tokenizer, TokenClassification(labels=("X",)), window={"max_length": 32})
    with pytest.raises(InvalidSpecError, match="unknown key 'stride'"):
        Processor(tokenizer, TokenClassification(labels=("X",)), windows={"stride": 32})
    with pytest.raises(ArtefactError, match="'window'"):
        Processor.from_pretrained(saved_model, window={"max_length": 32})


def test_law_3_an_argument_of_a_subclass_that_would_be_dropped_is_an_error(tokenizer, tmp_path):
    class Louder(Processor):
        def __init__(self, tokenizer, task, volume=11):
            super().__init__(tokenizer, task)
            self.volume = volume

    with pytest.raises(ArtefactError, match="'volume'"):
        Louder(tokenizer, TokenClassification(labels=("X",))).save_pretrained(tmp_path)


def test_law_3_settings_given_on_loading_replace_the_saved_ones(saved_model):
    processor = Processor.from_pretrained(saved_model, postprocess=[{"min_score": 0.5}])
    assert processor.postprocess.to_spec() == [{"min_score": 0.5}]
    assert processor.to_dict()["postprocess"] == [{"min_score": 0.5}]
