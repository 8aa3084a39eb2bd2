"""A plain `str -> str` function as an aligned transform."""

from collections.abc import Callable
from types import new_class
from typing import ClassVar, cast, overload

from nlp_inference.document import Document
from nlp_inference.errors import InvalidEditError
from nlp_inference.transforms.base import Transform


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

    def __reduce__(self) -> str:
        return type(self).__qualname__


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
