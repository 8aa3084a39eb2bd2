"""Composition of transforms."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from nlp_inference.document import Document
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_inference.transforms.base import PostTransform, Transform

Step = TypeVar("Step", Transform, PostTransform)


class Compose(Generic[Step]):
    """A sequence of transforms, applied in order.

    Args:
        specs: transforms, or their specifications from YAML or JSON.
        kind: `Transform` for steps before the model, `PostTransform` for steps after it.

    Raises:
        UnknownTypeError: a specification names a transform that is not registered.
        InvalidSpecError: a specification is invalid for its transform.

    Example:
        >>> clean = Compose(["strip_html", "collapse_whitespace"])
        >>> clean(Document(raw_text="<p>Hello   <b>world</b></p>")).text
        'Hello world'
        >>> clean.to_spec()
        ['strip_html', 'collapse_whitespace']
    """

    def __init__(self, specs: Iterable[Spec | Step] = (), *, kind: type[Any] = Transform) -> None:
        if isinstance(specs, str | Mapping) or not isinstance(specs, Iterable):
            raise InvalidSpecError(f"a list of {kind.kind}s was expected, but got {specs!r}; put it in a list")
        self.kind = kind
        self.steps: tuple[Step, ...] = tuple(kind.from_spec(spec) for spec in specs)

    def __call__(self, document: Document) -> Document:
        """Apply every step to `document`."""
        result: Document = self.kind.apply_all(self.steps, document)
        return result

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compose) and self.steps == other.steps

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"Compose({self.to_spec()!r})"

    def to_spec(self) -> list[str | dict[str, Any]]:
        """Return the shortest specifications of all steps."""
        return [step.to_spec() for step in self.steps]
