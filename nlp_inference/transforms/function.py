"""A plain `str -> str` function as an aligned transform."""

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
    """Base of the transforms that `text_transform` makes. Call one on a Document, or on a text as before."""

    function: ClassVar[Callable[[str], str]]

    def propose(self, text: str) -> str:
        """Return what the function makes of `text`.

        Raises:
            InvalidEditError: the function returned something that is not a text.
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
        """Pickle where its function is defined: the module holds the transform in the place of the class.

        Raises:
            PicklingError: the module does not hold it, so that another process could not find it.
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
            raise PicklingError(_NOT_FOUND.format(*where, "another transform stands there"))
        return _from_module, where


def _from_module(module: str, qualname: str, name: str) -> FunctionTransform:
    """The transform that a module defines, in this process; called when one is unpickled."""
    if module.startswith("transformers_modules.") and module not in sys.modules:
        from transformers.dynamic_module_utils import init_hf_modules

        init_hf_modules()  # code that came with a trusted model lies in a folder that transformers alone knows
    try:
        found = attrgetter(qualname)(import_module(module))
    except (ImportError, AttributeError):
        registered = Transform.find(name)  # a file of the user's, which another module of this process has read
        if registered is None or registered.__qualname__ != qualname:
            raise
        found = registered()
    if not isinstance(found, FunctionTransform):
        raise TypeError(f"{module}.{qualname} is a {type(found).__name__}")
    return found


def text_transform(*, name: str, version: int = 1) -> Callable[[Callable[[str], str]], FunctionTransform]:
    """Turn a `str -> str` function into a registered transform; its edits are found by a diff.

    The function must be pure: the same text gives the same result. Whoever loads a processor that was saved with it
    must first import the module that defines it.

    Args:
        name: the name it is saved under.
        version: raise it whenever the function begins to change a text differently.

    Raises:
        InvalidSpecError: the name belongs to another transform.

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
