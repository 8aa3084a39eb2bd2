"""The examples in the documentation of every module of `nlp_inference` run and give what they say."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from base_install import imported_at_top
from doc_examples import examples_of, failed_examples, modules_of, skipped_without_the_hub

import nlp_inference

EXTRAS = (
    "nlp_inference.architectures",
    "nlp_inference.backends.bf16",
    "nlp_inference.backends.packing",
    "nlp_inference.backends.torch",
    "nlp_inference.serving",
)
"""Packages and modules that are loaded only where an extra is installed."""


def case(name):
    return pytest.param(name, marks=[pytest.mark.extra] if name.startswith(EXTRAS) else [])


@pytest.mark.parametrize("name", [case(name) for name in modules_of(nlp_inference)])
def test_the_examples_run(name, capsys):
    assert failed_examples(name) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", [case(name) for name in modules_of(nlp_inference)])
def test_only_examples_that_need_the_hub_are_skipped(name):
    assert skipped_without_the_hub(name) == []


@pytest.mark.extra
def test_whoever_imports_torch_is_among_those_that_need_an_extra():
    places = {name: Path(find_spec(name).origin) for name in modules_of(nlp_inference)}
    with_torch = [name for name, path in places.items() if "torch" in imported_at_top(path)]
    assert with_torch
    assert [name for name in with_torch if not name.startswith(EXTRAS)] == []


def test_there_are_examples():
    modules = [name for name in modules_of(nlp_inference) if not name.startswith(EXTRAS)]
    assert sum(len(examples_of(import_module(name))) for name in modules) > 40
