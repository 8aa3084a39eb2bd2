"""Docstrings and signatures as the reference pages show them; an extension of Griffe, see mkdocs.yml.

Griffe reads the source and does not know pydantic, so this adds the `__init__` of each model, with a parameter for each
field. Griffe reads `Examples:` as a section of examples, and the docstrings have `Example:`.
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

_NO_NEWS = re.compile(r"_\w+|Frozen|BaseModel|ABC|Registered")
"""Bases that tell a reader nothing."""
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class ReferencePages(Extension):
    """Prepare docstrings and pydantic models."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of Griffe
        """Mark the examples of a docstring as a section of examples."""
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(r"\1Examples:", obj.docstring.value)

    def on_package(self, *, pkg: Module, **kwargs: Any) -> None:  # noqa: ARG002 - the signature of Griffe
        """Add `__init__` to the pydantic models of a package that define none."""
        classes = list(_classes(pkg))
        for model in (found for found in classes if "__init__" not in found.members and _is_model(found)):
            parameters = [
                _parameter(name, attribute)
                for parent in reversed([model, *model.mro()])
                for name, attribute in parent.members.items()
                if isinstance(attribute, Attribute) and _is_field(attribute)
            ]
            by_name = {parameter.name: parameter for parameter in parameters}
            itself = Parameter("self", annotation=None, kind=ParameterKind.positional_or_keyword, default=None)
            init = Function("__init__", parameters=Parameters(itself, *by_name.values()), returns="None", parent=model)
            model.set_member("__init__", init)
        for found in classes:
            found.bases = [base for base in found.bases if not _NO_NEWS.fullmatch(str(base))]


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
        given = {word.name: word.value for word in default.arguments if isinstance(word, ExprKeyword)}
        factory = given.get("default_factory")
        default = given.get("default", None if factory is None else ExprCall(factory, arguments=[]))
    return Parameter(name, annotation=annotation, kind=ParameterKind.keyword_only, default=default)
