"""The examples in the documentation of every module run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import nlp_inference
import nlp_training
from nlp_inference.registry import Registered

MODULES = sorted(
    found.name
    for package in (nlp_inference, nlp_training)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


def examples_of(module):
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


def forget_types_of_examples(module):
    """Take what an example defined out of the registries, where other tests would find its name taken."""
    for kind in Registered.__subclasses__():
        for name, member in list(kind.members.items()):
            if member.__module__ == module.__name__ and getattr(module, member.__name__, None) is not member:
                del kind.members[name]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name, capsys):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in examples_of(module):
        runner.run(test)
    forget_types_of_examples(module)
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", MODULES)
def test_only_examples_that_need_the_hub_are_skipped(name):
    for test in examples_of(importlib.import_module(name)):
        skipped = [example.source for example in test.examples if example.options.get(doctest.SKIP)]
        assert not skipped or any('"org/' in source for source in skipped), test.name


def test_there_are_examples_in_both_packages():
    counts = {name: len(examples_of(importlib.import_module(name))) for name in MODULES}
    assert sum(count for name, count in counts.items() if name.startswith("nlp_inference")) > 40
