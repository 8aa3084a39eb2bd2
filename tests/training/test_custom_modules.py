"""A run may name modules that define transforms of its own; what it saves says where they come from."""

import io
import json

import pytest
from loud_package import Machine
from rich.console import Console

from nlp_inference import Processor
from nlp_inference.errors import InvalidSpecError, UnknownTypeError
from nlp_training.config import RunConfig
from nlp_training.runs.run import train
from nlp_training.trainer.build import build_processor
from nlp_training.trainer.splits import load_splits

NO_ENTRY_POINTS = ""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    machine.forget()


def loud(config, **settings):
    processor = {"task": "token-classification", "preprocess": ["whisper"]}
    return RunConfig.model_validate({**config.model_dump(exclude_none=True), "processor": processor, **settings})


def processor_of(config):
    return build_processor(config, load_splits(config)["train"])


def test_modules_are_imported_before_the_processor_is_built(machine, span_run):
    machine.install(entry_points=NO_ENTRY_POINTS)
    processor = processor_of(loud(span_run, modules=["loud_texts.changes"]))
    assert processor.preprocess.to_spec() == ["whisper"]
    (saved,) = processor.to_dict()["custom"]
    assert saved == {"kind": "transform", "name": "whisper", "module": "loud_texts.changes", "version": 1}


def test_a_transform_of_a_module_that_is_not_named_is_unknown(machine, span_run):
    machine.install(entry_points=NO_ENTRY_POINTS)
    with pytest.raises(UnknownTypeError, match="unknown transform 'whisper'"):
        processor_of(loud(span_run))


def test_an_installed_package_that_declares_its_transforms_need_not_be_named(machine, span_run):
    machine.install()
    assert processor_of(loud(span_run)).to_dict()["custom"][0]["package"] == "loud-texts 1.2"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("not_installed.transforms", "ModuleNotFoundError: No module named 'not_installed'"),
        ("", "ValueError: Empty module name"),
        (".relative", "TypeError: the 'package' argument is required"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(span_run, module, said):
    with pytest.raises(InvalidSpecError, match=f"modules names {module!r}, which cannot be imported: {said}"):
        processor_of(loud(span_run, modules=[module]))


def test_what_was_trained_is_loaded_where_the_package_is_installed_and_refused_elsewhere(machine, span_run):
    machine.install(entry_points=NO_ENTRY_POINTS)
    config = loud(span_run, modules=["loud_texts.changes"])
    config = config.model_copy(update={"training": {**config.training, "num_train_epochs": 1}})
    model = train(config, console=Console(file=io.StringIO())).model
    saved = json.loads((model / "processor_config.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in saved["custom"]] == ["whisper"]
    machine.uninstall()
    with pytest.raises(UnknownTypeError, match=r"install the package of 'loud_texts\.changes'"):
        Processor.from_pretrained(model)
    machine.install()
    assert Processor.from_pretrained(model).preprocess.to_spec() == ["whisper"]
