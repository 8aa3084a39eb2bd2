"""Custom transforms and tasks: their origin is saved with the model, and on request their source.

`processor_config.json` lists under `custom` each class in use that is not part of this library: its module, the
installed package that registers it, its version and, after `register_for_auto_class()`, the files that define it with
their SHA-256. This is information for people; nothing is imported or run without `trust_remote_code=True`.
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

_KINDS: Mapping[str, type[Registered]] = {"task": Task, "preprocess": Transform, "postprocess": PostTransform}
"""The settings of a processor that contain specifications, and their kind."""

PythonFile = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.py$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class CustomType(BaseModel):
    """The entry of a custom class in `processor_config.json`.

    Args:
        kind: `transform`, `post-transform` or `task`.
        name: the name in specifications.
        module: the module that the class was imported from.
        package: the installed distribution that registers it, if any, such as `my-package 1.2`.
        version: the version of the transform when it was saved.
        code: file and class in the saved model, such as `transforms.Shout`, if its source was saved.
        files: the SHA-256 of each file that `code` needs.
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
        """Describe a class in its current state.

        Raises:
            ArtefactError: its source must be saved, but it is not defined in a module file.
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
        """Return an error that states what is missing and how to allow it."""
        installed = f"install {self.package!r}" if self.package else f"install the package of {self.module!r}"
        ways = (
            f"{installed} in a version that declares it as an entry point, or import the module that defines it before "
            "you load the model"
        )
        if self.code is None:
            return UnknownTypeError(f"unknown {self.kind} {self.name!r} of the module {self.module!r}: {ways}")
        files = ", ".join(str(folder / name) for name in self.files)
        return UnknownTypeError(
            f"unknown {self.kind} {self.name!r} of the module {self.module!r}. There are two ways to allow it: {ways};"
            f" or read {files}, and if you trust that code, allow it with trust_remote_code=True"
        )


Known = Mapping[tuple[str, str], CustomType]
"""The entry of each custom class, by kind and name."""


def describe_custom(members: Iterable[Registered]) -> list[dict[str, Any]]:
    """Return the `custom` section of `processor_config.json` for the custom classes of `members`.

    Raises:
        ArtefactError: the source of a class cannot be saved, or two files to save have the same name.
    """
    described = [CustomType.of(member) for member in _custom(members)]
    taken: dict[str, str] = {}
    for one in described:
        for name, digest in one.files.items():
            if taken.setdefault(name, digest) != digest:
                raise ArtefactError(
                    f"two different files {name!r} define classes of this processor, but only one can be saved "
                    "under that name; rename one of the modules"
                )
    return [one.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for one in described]


def save_sources(members: Iterable[Registered], folder: Path) -> None:
    """Copy the source of every class that called `register_for_auto_class` into `folder`."""
    for member in _custom(members):
        if member._auto_class:  # noqa: SLF001 - the name is transformers'
            custom_object_save(member, folder)


def with_custom_types(
    config: Mapping[str, Any], folder: Path, *, trusted: bool, replaced: Iterable[str]
) -> dict[str, Any]:
    """Return the settings of a processor with every class whose code was saved built, or refused.

    Args:
        config: the contents of `processor_config.json`.
        folder: the saved model.
        trusted: whether code of the saved model may run. If so, it also replaces an installed class of the same name,
            because the saved code is what was evaluated.
        replaced: settings that the caller replaces, so the saved values are not read.

    Raises:
        UnknownTypeError: a class is not registered, and its source may not run.
        ArtefactError: `custom` is damaged, or a file differs from the one that was saved.
    """
    known: Known = {(one.kind, one.name): one for one in _read(config.get("custom", []))}
    settings = {key: value for key, value in config.items() if key != "custom"}
    for key, base in _KINDS.items():
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
        return spec  # the constructor raises a more specific error
    found = known.get((base.kind, name))
    if found is None:
        return spec
    if trusted and found.code is not None:
        return _run(found, base, folder).from_value(value)
    if base.find(name) is None:
        raise found.refusal(folder)
    return spec


def _run(found: CustomType, base: type[Registered], folder: Path) -> type[Registered]:
    """Run the trusted code of a saved model, and return the class that it defines."""
    module, _, _ = str(found.code).partition(".")
    source = folder / f"{module}.py"
    with as_artefact_errors(f"the code of the {found.kind} {found.name!r} in {str(source)!r}"):
        for path in with_imports(source):
            saved, here = found.files.get(path.name, "none"), file_digest(path)
            if path.parent != folder or saved != here:
                raise ArtefactError(
                    f"{str(path)!r} has sha256 {here}, expected {saved} from processor_config.json. It is not the file "
                    "that was saved with this model, and was not run; fetch the model again"
                )
        defined: Any = get_class_from_dynamic_module(str(found.code), folder)
        member = defined if isinstance(defined, type) else type(defined)  # `text_transform` defines an instance
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
    """Return the custom classes of `members`, each once."""
    kinds = dict.fromkeys(type(member) for member in members)
    return [kind for kind in kinds if kind.is_custom()]


def _source_file(member: type[Registered]) -> Path:
    path = getattr(sys.modules.get(member.__module__), "__file__", None)
    at_top = getattr(sys.modules.get(member.__module__), member.__name__, None)
    if path is None or member.__module__ == "__main__" or Path(path).name == "__init__.py" or at_top is None:
        raise ArtefactError(
            f"the source of {member.__module__}.{member.__qualname__} cannot be saved with a model; define it at the "
            "top level of its own module file, which is neither the main program nor an __init__.py"
        )
    return Path(path)
