"""Transforms from plain `str -> str` functions."""

import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from pickle import PicklingError
from types import new_class
from typing import ClassVar, cast, overload

from nlp_inference.document import Document
from nlp_inference.errors import InvalidEditError
from nlp_inference.transforms.base import Transform

_NOT_FOUND = "{0}.{1}, the transform {2!r}, cannot be pickled: {3}; define it at the top of a module"


class FunctionTransform(Transform):
    """Base of the transforms that `text_transform` creates, which can be called with a Document or with a text."""

    function: ClassVar[Callable[[str], str]]

    def propose(self, text: str) -> str:
        """Return the result of the function for `text`.

        Raises:
            InvalidEditError: the function returned an object that is not a text.
        """
        changed = type(self).function(text)
        if not isinstance(changed, str):
            raise InvalidEditError(f"transform {self.name!r} returned {changed!r}; its function must return a str")
        return changed

    @overload
    def __call__(self, document: Document) -> Document: ...
    @overload
    def __call__(self, document: str) -> str: ...
    def __call__(self, document: Document | str) -> Document | str:
        """Change the text of `document`, or a text."""
        return self.propose(document) if isinstance(document, str) else super().__call__(document)

    def __reduce__(self) -> tuple[Callable[[str, str, str], "FunctionTransform"], tuple[str, str, str]]:
        """Pickle the location of the function, because the module contains the transform under the name of its class.

        Raises:
            PicklingError: the module does not contain the transform, so another process could not find it.
        """
        made = type(self)
        where = made.__module__, made.__qualname__, made.name
        if "<locals>" in made.__qualname__:
            raise PicklingError(_NOT_FOUND.format(*where, "it is defined inside a function"))
        try:
            found = type(_from_module(*where))
        except (ImportError, AttributeError, TypeError) as error:
            raise PicklingError(_NOT_FOUND.format(*where, error)) from error
        if found is not made:
            raise PicklingError(_NOT_FOUND.format(*where, "another transform has this name"))
        return _from_module, where


def _from_module(module: str, qualname: str, name: str) -> FunctionTransform:
    """Return the transform that a module defines; called on unpickling."""
    if module.startswith("transformers_modules.") and module not in sys.modules:
        from transformers.dynamic_module_utils import init_hf_modules

        init_hf_modules()  # transformers adds the folder of custom model code to the import path
    try:
        found = attrgetter(qualname)(import_module(module))
    except (ImportError, AttributeError):
        registered = Transform.find(name)  # a user's file that was loaded under another module name
        if registered is None or registered.__qualname__ != qualname:
            raise
        found = registered()
    if not isinstance(found, FunctionTransform):
        raise TypeError(f"{module}.{qualname} is a {type(found).__name__}")
    return found


def text_transform(*, name: str, version: int = 1) -> Callable[[Callable[[str], str]], FunctionTransform]:
    """Convert a `str -> str` function to a registered transform, whose edits are derived by a diff.

    The function must be deterministic: the same text gives the same result. Import the module that defines it before
    loading a processor that was saved with it.

    Args:
        name: the name under which the transform is saved.
        version: increase it whenever the function changes a text differently than before.

    Raises:
        InvalidSpecError: the name is registered by another transform.

    Example:
        >>> @text_transform(name="drop_hashes")
        ... def drop_hashes(text: str) -> str:
        ...     return text.replace("#", "")
        >>> document = drop_hashes(Document(raw_text="#one #two"))
        >>> document.text, document.aligned.to_raw(4, 7)
        ('one two', (6, 9))
        >>> Transform.from_spec("drop_hashes") == drop_hashes
        True
    """

    def register(function: Callable[[str], str]) -> FunctionTransform:
        body = {
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
            "__doc__": function.__doc__,
            "__annotations__": {"name": ClassVar[str], "version": ClassVar[int]},
            "name": name,
            "version": version,
            "function": staticmethod(function),
        }
        made = new_class(function.__name__, (FunctionTransform,), exec_body=lambda namespace: namespace.update(body))
        return cast("type[FunctionTransform]", made)()

    return register
