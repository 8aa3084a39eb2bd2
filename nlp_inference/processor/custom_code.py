"""Transforms and tasks of users: where they come from is saved with the model, and their source too if they ask for it.

`processor_config.json` names, under `custom`, each class in use that is not of this library: its module, the installed
package that registers it, its version and, after `register_for_auto_class()`, the files that define it with their
SHA-256. All of it is a hint for people; nothing of it is imported or run, unless `trust_remote_code=True` is given.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from transformers.dynamic_module_utils import (
    custom_object_save,
    get_class_from_dynamic_module,
)

from nlp_inference._utils.digests import file_digest
from nlp_inference._utils.foreign_errors import as_artefact_errors
from nlp_inference.architectures.model_code import with_imports
from nlp_inference.errors import ArtefactError, InvalidSpecError, UnknownTypeError
from nlp_inference.registry import Registered, explain, split_spec
from nlp_inference.tasks import Task
from nlp_inference.transforms.base import PostTransform, Transform

_PLACES: Mapping[str, type[Registered]] = {"task": Task, "preprocess": Transform, "postprocess": PostTransform}
"""Which settings of a processor hold specifications, and of what kind."""

PythonFile = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.py$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class CustomType(BaseModel):
    """What `processor_config.json` says about a class that is not of this library.

    Args:
        kind: `transform`, `post-transform` or `task`.
        name: the name in specifications.
        module: where the class was imported from.
        package: the installed distribution that registers it, if there is one, such as `my-package 1.2`.
        version: the version of the transform when it was saved.
        code: file and class in the saved model, such as `transforms.Shout`, if its source was saved.
        files: SHA-256 of each file that `code` needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["transform", "post-transform", "task"]
    name: str
    module: str
    package: str | None = None
    version: int | None = None
    code: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    files: dict[PythonFile, Sha256] = {}

    @classmethod
    def of(cls, member: type[Registered]) -> "CustomType":
        """Describe a class as it is now.

        Raises:
            ArtefactError: its source is to be saved, but is not that of a module in a file.
        """
        package = member.declared_by()
        source = _source_file(member) if member._auto_class else None  # noqa: SLF001 - the name is transformers'
        return cls(
            kind=member.kind,
            name=member.name,
            module=member.__module__,
            package=None if package is None else f"{package.name} {package.version}",
            version=getattr(member, "version", None),
            code=f"{source.stem}.{member.__name__}" if source else None,
            files={path.name: file_digest(path) for path in with_imports(source)} if source else {},
        )

    def refusal(self, folder: Path) -> UnknownTypeError:
        """Say what is missing, and the ways to allow it."""
        installed = f"install {self.package!r}" if self.package else f"install the package of {self.module!r}"
        ways = (
            f"{installed} in a version that declares it as an entry point, or import the module that defines it before "
            "the model is loaded"
        )
        if self.code is None:
            return UnknownTypeError(f"unknown {self.kind} {self.name!r}, of the module {self.module!r}: {ways}")
        files = ", ".join(str(folder / name) for name in self.files)
        return UnknownTypeError(
            f"unknown {self.kind} {self.name!r}, of the module {self.module!r}. There are two ways to allow it: {ways};"
            f" or read {files}, and if you trust that code, let it run with trust_remote_code=True"
        )


Known = Mapping[tuple[str, str], CustomType]
"""What is said about each class, by its kind and name."""


def describe_custom(members: Iterable[Registered]) -> list[dict[str, Any]]:
    """What `processor_config.json` holds about the classes of `members` that are not of this library.

    Raises:
        ArtefactError: the source of a class cannot be saved, or two files that are to be saved have one name.
    """
    described = [CustomType.of(member) for member in _custom(members)]
    taken: dict[str, str] = {}
    for one in described:
        for name, digest in one.files.items():
            if taken.setdefault(name, digest) != digest:
                raise ArtefactError(
                    f"two different files {name!r} define transforms of this processor, and only one can be saved "
                    "under that name; rename one of the modules"
                )
    return [one.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for one in described]


def save_sources(members: Iterable[Registered], folder: Path) -> None:
    """Copy the source of every class that asked for it by `register_for_auto_class` into `folder`."""
    for member in _custom(members):
        if member._auto_class:  # noqa: SLF001 - the name is transformers'
            custom_object_save(member, folder)


def with_custom_types(
    config: Mapping[str, Any], folder: Path, *, trusted: bool, replaced: Iterable[str]
) -> dict[str, Any]:
    """Settings of a processor in which every class that came with the model is built, or refused.

    Args:
        config: what `processor_config.json` holds.
        folder: the saved model.
        trusted: whether code of the saved model may run. Then it runs even where a class of that name is installed: it
            is the one that was evaluated.
        replaced: settings that the caller gives, so that the saved ones do not matter.

    Raises:
        UnknownTypeError: a class is neither registered nor may its source run.
        ArtefactError: `custom` is damaged, or a file is not the one that was saved.
    """
    known: Known = {(one.kind, one.name): one for one in _read(config.get("custom", []))}
    settings = {key: value for key, value in config.items() if key != "custom"}
    for key, base in _PLACES.items():
        if known and key in settings and key not in replaced:
            value = settings[key]
            built = [_build(spec, base, known, folder, trusted=trusted) for spec in _listed(value)]
            settings[key] = built if isinstance(value, list) else built[0]
    return settings


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _build(spec: Any, base: type[Registered], known: Known, folder: Path, *, trusted: bool) -> Any:
    try:
        name, value = split_spec(spec, kind=base.kind)
    except InvalidSpecError:
        return spec  # refused where it is used, with what is expected there
    found = known.get((base.kind, name))
    if found is None:
        return spec
    if trusted and found.code is not None:
        return _run(found, base, folder).from_value(value)
    if base.find(name) is None:
        raise found.refusal(folder)
    return spec


def _run(found: CustomType, base: type[Registered], folder: Path) -> type[Registered]:
    """Run the code of a saved model, which the caller trusts, and return the class that it is for."""
    module, _, _ = str(found.code).partition(".")
    source = folder / f"{module}.py"
    with as_artefact_errors(f"the code of the {found.kind} {found.name!r} in {str(source)!r}"):
        for path in with_imports(source):
            saved, here = found.files.get(path.name, "none"), file_digest(path)
            if path.parent != folder or saved != here:
                raise ArtefactError(
                    f"{str(path)!r} has sha256 {here}, but processor_config.json names {saved}: it is not the file "
                    "that was saved with this model, and was not run; fetch the model again"
                )
        defined: Any = get_class_from_dynamic_module(str(found.code), folder)
        member = defined if isinstance(defined, type) else type(defined)  # `text_transform` leaves an instance
        if not (issubclass(member, base) and member.name == found.name):
            raise ArtefactError(f"{found.code!r} in {str(source)!r} is not the {found.kind} {found.name!r}")
    member.register_for_auto_class()
    return member


def _read(custom: Any) -> list[CustomType]:
    if not isinstance(custom, list):
        raise ArtefactError(f"processor_config.json: custom is {custom!r:.80}, expected a list; fetch the model again")
    try:
        return [CustomType.model_validate(one) for one in custom]
    except ValidationError as error:
        raise ArtefactError(f"processor_config.json: custom: {explain(error, CustomType)}") from error


def _custom(members: Iterable[Registered]) -> list[type[Registered]]:
    """The classes of `members` that are not of this library, each once."""
    kinds = dict.fromkeys(type(member) for member in members)
    return [kind for kind in kinds if kind.is_custom()]


def _source_file(member: type[Registered]) -> Path:
    path = getattr(sys.modules.get(member.__module__), "__file__", None)
    at_top = getattr(sys.modules.get(member.__module__), member.__name__, None)
    if path is None or member.__module__ == "__main__" or Path(path).name == "__init__.py" or at_top is None:
        raise ArtefactError(
            f"the source of {member.__module__}.{member.__qualname__} cannot be saved with a model: it must be defined "
            "at the top of a module in a file of its own, that is neither the program that runs nor an __init__.py"
        )
    return Path(path)
