"""Griffe extension that adapts docstrings and signatures for the reference pages; see mkdocs.yml.

Griffe reads the source without pydantic, so this adds an `__init__` to each model, with a parameter for each field.
Griffe expects `Examples:` as the section of examples, but the docstrings use `Example:`.
"""

import re
from collections.abc import Iterator
from typing import Any

from griffe import (
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprKeyword,
    ExprSubscript,
    ExprTuple,
    Extension,
    Function,
    Module,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

_HIDDEN_BASES = re.compile(r"_\w+|Frozen|BaseModel|ABC|Registered")
"""Base classes that the reference does not show."""
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class ReferencePages(Extension):
    """Adapt docstrings and pydantic models."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of Griffe
        """Rename the section `Example:` to `Examples:`."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of Griffe
        """Add `__init__` to pydantic models without one, and hide uninformative bases."""
        classes = list(_classes(pkg))
        for model in (found for found in classes if "__init__" not in found.members and _is_model(found)):
            parameters = [
                _parameter(name, attribute)
                for parent in reversed([model, *model.mro()])
                for name, attribute in parent.members.items()
                if isinstance(attribute, Attribute) and _is_field(attribute)
            ]
            by_name = {parameter.name: parameter for parameter in parameters}
            self_parameter = Parameter("self", annotation=None, kind=ParameterKind.positional_or_keyword, default=None)
            init = Function(
                "__init__", parameters=Parameters(self_parameter, *by_name.values()), returns="None", parent=model
            )
            model.set_member("__init__", init)
        for found in classes:
            found.bases = [base for base in found.bases if not _HIDDEN_BASES.fullmatch(str(base))]


def _classes(scope: Module | Class) -> Iterator[Class]:
    for member in scope.members.values():
        if isinstance(member, Class):
            yield member
        if isinstance(member, Module | Class):
            yield from _classes(member)


def _is_model(found: Class) -> bool:
    bases = [base for parent in (found, *found.mro()) for base in parent.bases]
    return any(isinstance(base, Expr) and base.canonical_path == "pydantic.BaseModel" for base in bases)


def _is_field(attribute: Attribute) -> bool:
    is_instance = attribute.annotation is not None and "instance-attribute" in attribute.labels
    return is_instance and not attribute.name.startswith("_") and attribute.name != "model_config"


def _parameter(name: str, attribute: Attribute) -> Parameter:
    annotation, default = attribute.annotation, attribute.value
    if isinstance(annotation, ExprSubscript) and annotation.canonical_path == "typing.Annotated":
        inner = annotation.slice
        annotation = inner.elements[0] if isinstance(inner, ExprTuple) else inner
    if isinstance(default, ExprCall) and default.canonical_path == "pydantic.Field":
        options = {option.name: option.value for option in default.arguments if isinstance(option, ExprKeyword)}
        factory = options.get("default_factory")
        default = options.get("default", None if factory is None else ExprCall(factory, arguments=[]))
    return Parameter(name, annotation=annotation, kind=ParameterKind.keyword_only, default=default)
