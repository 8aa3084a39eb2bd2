"""Registries of the classes that are saved by name, and the specifications that build their objects.

A specification is one of:

- `collapse_whitespace`: the name alone, with the default of every field;
- `{normalize_unicode: NFKC}`: the name and the value of its first field;
- `{replace_regex: {pattern: "x+", replacement: x}}`: the name and its fields.

A specification from an untrusted source runs no code of that source: it can only name classes that this package or
another installed package registers.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import Distribution, EntryPoint, entry_points
from inspect import isabstract
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_inference._utils.cached import cached
from nlp_inference._utils.named_objects import declaration, load_entry_point
from nlp_inference._utils.shorten import shorten
from nlp_inference.errors import InvalidSpecError, UnknownTypeError

Spec = str | Mapping[str, Any]
"""The form of a registered object in YAML and JSON."""

_THIS_PACKAGE = "nlp_inference"
_SHOWN_PROBLEMS = 5
_SHOWN_CHARACTERS = 200
_CUSTOM_CODE_PACKAGE = "transformers_modules"
"""The package into which transformers imports the custom code of saved models."""


class Registered(BaseModel):
    """Base of the classes that are saved by name: transforms, post-transforms, tasks.

    A direct subclass that sets `kind` creates a registry. Every concrete subclass of it that sets `name` is registered
    under that name. An unknown name is looked up in the entry points of installed packages, in the group of the kind,
    such as `nlp_inference.transforms`, `nlp_inference.post_transforms` or `nlp_training.losses`. Custom code that was
    saved with a model is not registered, so that no other model can name it.

    Example:
        >>> class Animal(Registered):
        ...     kind = "animal"
        >>> class Cat(Animal):
        ...     name = "cat"
        ...     lives: int = 9
        >>> Animal.from_spec({"cat": 7}), Animal.from_spec("cat").to_spec(), Cat(lives=7).to_spec()
        (Cat(lives=7), 'cat', {'cat': 7})
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached,))

    kind: ClassVar[str]
    """What messages call a member of this registry."""
    name: ClassVar[str]
    """The name under which this class is saved."""
    members: ClassVar[dict[str, type["Registered"]]]
    opened_by: ClassVar[str]
    """The package that defines this registry: the prefix of its entry point group, as in `nlp_inference.transforms`."""
    _auto_class: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "kind" in vars(cls):
            cls.members = {}
            cls.opened_by = cls.__module__.partition(".")[0]
        if "name" in vars(cls) and not isabstract(cls) and not cls.came_with_a_model():
            known = cls.members.get(cls.name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise InvalidSpecError(
                    f"the {cls.kind} name {cls.name!r} is already registered by {known.__module__}."
                    f"{known.__qualname__}; give {cls.__module__}.{cls.__qualname__} another name"
                )
            cls.members[cls.name] = cls

    @classmethod
    def from_spec(cls, spec: "Spec | Registered") -> Self:
        """Build the object that a specification describes; return an object of this kind unchanged.

        Raises:
            UnknownTypeError: the name is not registered.
            InvalidSpecError: the form of the specification or one of its fields is invalid.
        """
        if isinstance(spec, cls):
            return spec
        name, value = split_spec(spec, kind=cls.kind)
        member = cls.find(name)
        if member is None:
            known = {*cls.members, *(point.name for point in cls.entry_points())}
            raise UnknownTypeError(f"unknown {cls.kind} {name!r}; {_suggestion(name, known)}")
        if not issubclass(member, cls):
            raise InvalidSpecError(f"{name!r} is a {member.__name__}; expected a {cls.__name__}")
        return member.from_value(value)

    @classmethod
    def find(cls, name: str) -> type["Registered"] | None:
        """Return the class of this kind that is registered as `name`, or `None`; installed packages are included.

        Raises:
            InvalidSpecError: an installed package declares the name, but does not register it or cannot be imported.
        """
        if name not in cls.members:
            for point in cls.entry_points(name):
                _load(point, cls)
        return cls.members.get(name)

    @classmethod
    def entry_points(cls, name: str | None = None) -> tuple[EntryPoint, ...]:
        """Return the entry points of this kind's group that installed packages declare, all or those called `name`."""
        plural = cls.kind.replace("-", "_") + ("es" if cls.kind.endswith("s") else "s")
        group = f"{cls.opened_by}.{plural}"
        return tuple(entry_points(group=group) if name is None else entry_points(group=group, name=name))

    @classmethod
    def is_custom(cls) -> bool:
        """Return whether the class is defined outside this library."""
        return cls.__module__.partition(".")[0] != _THIS_PACKAGE

    @classmethod
    def declared_by(cls) -> Distribution | None:
        """Return the installed package that declares this class as an entry point, or `None`."""
        return next((point.dist for point in cls.entry_points(cls.name) if point.dist is not None), None)

    @classmethod
    def register_for_auto_class(cls) -> None:
        """Save the source of this class with every processor that uses it, as in transformers.

        `Processor.save_pretrained` then copies the file that defines the class, and its relative imports, next to
        `processor_config.json`. The copy runs only with `Processor.from_pretrained(..., trust_remote_code=True)`.
        """
        cls._auto_class = "Processor"

    @classmethod
    def came_with_a_model(cls) -> bool:
        """Return whether the class is defined by custom code that was saved with a model."""
        return cls.__module__.partition(".")[0] == _CUSTOM_CODE_PACKAGE

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Build an object of exactly this class from the value that follows its name in a specification.

        Raises:
            InvalidSpecError: a field is invalid.
        """
        if isinstance(value, Mapping):
            fields = dict(value)
        elif value is None:
            fields = {}
        elif cls.model_fields:
            fields = {next(iter(cls.model_fields)): value}
        else:
            raise InvalidSpecError(
                f"{cls.kind} {cls.name!r} has no fields, but got {value!r}; write {cls.name!r} alone"
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidSpecError(f"{cls.kind} {cls.name!r}: {explain(error, cls)}") from error

    def to_spec(self) -> str | dict[str, Any]:
        """Return the shortest specification that builds an equal object."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        if not fields:
            return self.name
        (first, value), *others = fields.items()
        if not others and first == next(iter(type(self).model_fields)) and not isinstance(value, dict):
            return {self.name: value}
        return {self.name: fields}


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe in one line the invalid fields of `model`, with the known keys next to each unknown one."""
    problems = []
    details = error.errors(include_url=False)
    for detail in details[:_SHOWN_PROBLEMS]:
        where = shorten(".".join(map(str, detail["loc"])), width=_SHOWN_CHARACTERS)
        if detail["type"] == "extra_forbidden":
            key = str(detail["loc"][-1])[:_SHOWN_CHARACTERS]
            problems.append(f"unknown key {where!r}; {_suggestion(key, _keys_at(model, detail['loc'][:-1]))}")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            problems.append(f"{where + ': ' if where else ''}{message} (got {_shown(detail['input'])})")
    if len(details) > _SHOWN_PROBLEMS:
        problems.append(f"and {len(details) - _SHOWN_PROBLEMS} more problems")
    return "; ".join(problems)


def _keys_at(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    """Return the valid keys at the location of a pydantic error, such as the keys of `data.train.columns`."""
    types: list[Any] = [model]
    for step in location:
        types = [child for parent in types for child in _child_types(parent, step)] or types
    models = [member for parent in types for member in _union_members(parent) if _is_model(member)]
    return list(dict.fromkeys(field.alias or name for one in models for name, field in one.model_fields.items()))


def _child_types(parent: Any, step: str | int) -> Iterator[Any]:
    """Yield the types under a key or an index; nothing if the step only names a member of a union."""
    for member in _union_members(parent):
        arguments = get_args(member)
        origin = get_origin(member)
        if _is_model(member):
            yield from (field.annotation for name, field in member.model_fields.items() if step in {name, field.alias})
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            yield arguments[1]
        elif isinstance(origin, type) and issubclass(origin, Iterable) and isinstance(step, int):
            is_fixed_tuple = issubclass(origin, tuple) and Ellipsis not in arguments
            yield arguments[step] if is_fixed_tuple and step < len(arguments) else arguments[0]


def _union_members(annotation: Any) -> list[Any]:
    """Return the members of a union, or the type itself, without `Annotated` metadata."""
    if get_origin(annotation) is Annotated:
        return _union_members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [member for argument in get_args(annotation) for member in _union_members(argument)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(value: Any) -> str:
    """Return the repr of an input, shortened because it may be an entire file."""
    return shorten(repr(value), width=_SHOWN_CHARACTERS)


def split_spec(spec: Any, *, kind: str) -> tuple[str, Any]:
    """Split a specification of a `kind` into its name and the value that follows it, or `None`.

    Raises:
        InvalidSpecError: `spec` is not a specification.

    Example:
        >>> split_spec({"min_score": 0.5}, kind="post-transform"), split_spec("lowercase", kind="transform")
        (('min_score', 0.5), ('lowercase', None))
    """
    if isinstance(spec, str):
        return spec, None
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, value),) = spec.items()
        if isinstance(name, str):
            return name, value
    raise InvalidSpecError(
        f"cannot read {spec!r} as a {kind}; write its name, {{name: value}} or {{name: {{field: value}}}}"
    )


def _load(point: EntryPoint, kind: type[Registered]) -> None:
    load_entry_point(point, kind=kind.kind)
    if point.name not in kind.members:
        declared = declaration(point, kind=kind.kind)
        raise InvalidSpecError(
            f"{declared}, which registers no {kind.kind} of that name; use the name of the class for the entry point"
        )


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(sorted(known)) or 'none'}"
