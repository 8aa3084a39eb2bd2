"""Names and classes of everything that is saved as JSON, and the short specifications that name them.

A specification is one of:

- `collapse_whitespace`: the name alone, every field at its default;
- `{normalize_unicode: NFKC}`: the name and the value of its first field;
- `{replace_regex: {pattern: "x+", replacement: x}}`: the name and its fields.

A specification from a stranger runs no code of the stranger: it can only name what is registered, by this package or
by one that is installed.
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
"""What YAML and JSON hold in place of a registered object."""

_OWN = "nlp_inference"
_SHOWN_PROBLEMS = 5
_SHOWN_CHARACTERS = 200
_OF_ARTEFACTS = "transformers_modules"
"""The package in which transformers keeps the code that came with models."""


class Registered(BaseModel):
    """Base of the kinds of things that are saved by name: transforms, post-transforms, tasks.

    A direct subclass that sets `kind` opens a registry; every concrete class below it that sets `name` enters it. An
    installed package is asked for a name that is not known yet, if it declares the name as an entry point of the kind's
    group, such as `nlp_inference.transforms`, `nlp_inference.post_transforms` or `nlp_training.losses`. Code that came
    with a model enters no registry, so that no other model can name it.

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
    """What the members of this registry are called in messages."""
    name: ClassVar[str]
    """The name under which this class is saved."""
    members: ClassVar[dict[str, type["Registered"]]]
    opened_by: ClassVar[str]
    """The package whose entry points offer members of this registry, as `nlp_inference.transforms` does."""
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
                    f"the {cls.kind} name {cls.name!r} belongs to {known.__module__}.{known.__qualname__}; "
                    f"give {cls.__module__}.{cls.__qualname__} another name"
                )
            cls.members[cls.name] = cls

    @classmethod
    def from_spec(cls, spec: "Spec | Registered") -> Self:
        """Build the object that a specification describes; an object of this kind is returned as it is.

        Raises:
            UnknownTypeError: the name is not registered.
            InvalidSpecError: the shape or a field does not fit.
        """
        if isinstance(spec, cls):
            return spec
        name, value = split_spec(spec, kind=cls.kind)
        member = cls.find(name)
        if member is None:
            known = {*cls.members, *(point.name for point in cls.entry_points())}
            raise UnknownTypeError(f"unknown {cls.kind} {name!r}; {_suggestion(name, known)}")
        if not issubclass(member, cls):
            raise InvalidSpecError(f"{name!r} is a {member.__name__}, but a {cls.__name__} was expected")
        return member.from_value(value)

    @classmethod
    def find(cls, name: str) -> type["Registered"] | None:
        """The class of this kind that is registered as `name`, by an installed package too; `None` if there is none.

        Raises:
            InvalidSpecError: an installed package declares the name, but does not register it or cannot be imported.
        """
        if name not in cls.members:
            for point in cls.entry_points(name):
                _load(point, cls)
        return cls.members.get(name)

    @classmethod
    def entry_points(cls, name: str | None = None) -> tuple[EntryPoint, ...]:
        """What installed packages declare in the group of this kind, under `name` or under any."""
        plural = cls.kind.replace("-", "_") + ("es" if cls.kind.endswith("s") else "s")
        group = f"{cls.opened_by}.{plural}"
        return tuple(entry_points(group=group) if name is None else entry_points(group=group, name=name))

    @classmethod
    def is_custom(cls) -> bool:
        """Whether the class is not of this library."""
        return cls.__module__.partition(".")[0] != _OWN

    @classmethod
    def declared_by(cls) -> Distribution | None:
        """The installed package that declares this class as an entry point, if there is one."""
        return next((point.dist for point in cls.entry_points(cls.name) if point.dist is not None), None)

    @classmethod
    def register_for_auto_class(cls) -> None:
        """Let the source of this class travel with the processors that use it, as in transformers.

        `Processor.save_pretrained` then copies the file that defines the class, and what it imports relatively, beside
        `processor_config.json`. It runs only where `Processor.from_pretrained(..., trust_remote_code=True)` is called.
        """
        cls._auto_class = "Processor"

    @classmethod
    def came_with_a_model(cls) -> bool:
        """Whether the class was defined by code that a saved model brought along."""
        return cls.__module__.partition(".")[0] == _OF_ARTEFACTS

    @classmethod
    def from_value(cls, value: Any) -> Self:
        """Build an object of this very class from what stands after its name in a specification.

        Raises:
            InvalidSpecError: a field does not fit.
        """
        if isinstance(value, Mapping):
            fields = dict(value)
        elif value is None:
            fields = {}
        elif cls.model_fields:
            fields = {next(iter(cls.model_fields)): value}
        else:
            raise InvalidSpecError(
                f"{cls.kind} {cls.name!r} takes no value, but got {value!r}; write {cls.name!r} alone"
            )
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidSpecError(f"{cls.kind} {cls.name!r}: {explain(error, cls)}") from error

    def to_spec(self) -> str | dict[str, Any]:
        """The shortest specification that builds this object again."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        if not fields:
            return self.name
        (first, value), *others = fields.items()
        if not others and first == next(iter(type(self).model_fields)) and not isinstance(value, dict):
            return {self.name: value}
        return {self.name: fields}


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line what is wrong with the fields given to `model`, and which keys are known where one is not."""
    problems = []
    details = error.errors(include_url=False)
    for detail in details[:_SHOWN_PROBLEMS]:
        where = shorten(".".join(map(str, detail["loc"])), width=_SHOWN_CHARACTERS)
        if detail["type"] == "extra_forbidden":
            key = str(detail["loc"][-1])[:_SHOWN_CHARACTERS]
            problems.append(f"unknown key {where!r}; {_suggestion(key, _keys_at(model, detail['loc'][:-1]))}")
        else:
            problems.append(f"{where + ': ' if where else ''}{detail['msg']} (got {_shown(detail['input'])})")
    if len(details) > _SHOWN_PROBLEMS:
        problems.append(f"and {len(details) - _SHOWN_PROBLEMS} more problems")
    return "; ".join(problems)


def _keys_at(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """The keys that are known where an error of pydantic is, such as those of `data.train.columns`."""
    kinds: list[Any] = [model]
    for step in place:
        kinds = [inside for kind in kinds for inside in _inside(kind, step)] or kinds
    found = [one for kind in kinds for one in _arms(kind) if _is_model(one)]
    return list(dict.fromkeys(field.alias or name for one in found for name, field in one.model_fields.items()))


def _inside(kind: Any, step: str | int) -> Iterator[Any]:
    """The types of what is under a key or at an index; nothing under what only names an alternative of a union."""
    for arm in _arms(kind):
        values = get_args(arm)
        origin = get_origin(arm)
        if _is_model(arm):
            yield from (field.annotation for name, field in arm.model_fields.items() if step in {name, field.alias})
        elif isinstance(origin, type) and issubclass(origin, Mapping):
            yield values[1]
        elif isinstance(origin, type) and issubclass(origin, Iterable) and isinstance(step, int):
            is_row = issubclass(origin, tuple) and Ellipsis not in values
            yield values[step] if is_row and step < len(values) else values[0]


def _arms(kind: Any) -> list[Any]:
    """The alternatives of a type, without annotations."""
    if get_origin(kind) is Annotated:
        return _arms(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return [arm for one in get_args(kind) for arm in _arms(one)]
    return [kind]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _shown(value: Any) -> str:
    """What came, which may be a whole file of a stranger's."""
    return shorten(repr(value), width=_SHOWN_CHARACTERS)


def split_spec(spec: Any, *, kind: str) -> tuple[str, Any]:
    """The name in a specification of a `kind`, and what stands after it, or `None`.

    Raises:
        InvalidSpecError: this is no specification.

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
            f"{declared}, which registers no {kind.kind} of that name; name the entry point as the class does"
        )


def _suggestion(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(sorted(known)) or 'none'}"
