"""A property that is computed once per object, without the lock of `functools.cached_property`."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class cached(Generic[T]):  # noqa: N801 - used as a decorator
    """Compute a value on the first access and keep it in the object's `__dict__`.

    `functools.cached_property` of Python 3.11 holds one lock per class. A process that is forked while another thread
    holds it waits for it forever. Here several threads may compute the same value at the same time; the last one is
    kept, so the value must depend on the object only.

    Pydantic models name it in `model_config["ignored_types"]`.

    Args:
        compute: the method that it replaces.

    Source: https://docs.python.org/3/library/functools.html#functools.cached_property (the note on the lock)

    Example:
        >>> class Circle:
        ...     def __init__(self, radius): self.radius = radius
        ...     @cached
        ...     def area(self): return 3 * self.radius**2
        >>> circle = Circle(2)
        >>> circle.area, vars(circle)
        (12, {'radius': 2, 'area': 12})
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        value = self._compute(instance)
        instance.__dict__[self._name] = value  # found before this descriptor from now on
        return value
