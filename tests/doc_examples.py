"""The examples in the documentation of modules: found, run, and what they register forgotten."""

import doctest
import pkgutil
from importlib import import_module
from types import ModuleType

from nlp_inference.registry import Registered

FORMER_NAMES = frozenset({"nlp_inference.aligned_text", "nlp_inference.layout", "nlp_inference.mlflow_model"})
"""Modules that only warn and name the present module."""


def modules_of(package: ModuleType) -> list[str]:
    found = {one.name for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")}
    return sorted(found - FORMER_NAMES)


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


def failed_examples(name: str) -> int:
    """How many examples of a module do not give what they say; the differences are printed."""
    module = import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in examples_of(module):
        runner.run(test)
    _forget_types_of_examples(module)
    return runner.summarize(verbose=False).failed


def skipped_without_the_hub(name: str) -> list[str]:
    """The examples that are skipped although they need no model of the Hub."""
    return [
        test.name
        for test in examples_of(import_module(name))
        if (skipped := [example.source for example in test.examples if example.options.get(doctest.SKIP)])
        and not any('"org/' in source for source in skipped)
    ]


def _forget_types_of_examples(module: ModuleType) -> None:
    """Take what an example defined out of the registries, where other tests would find its name taken."""
    for kind in Registered.__subclasses__():
        for name, member in list(kind.members.items()):
            if member.__module__ == module.__name__ and getattr(module, member.__name__, None) is not member:
                del kind.members[name]
