"""Custom model classes by name: `config.json` names the class, and loading finds the class or raises an error."""

from importlib.metadata import entry_points
from typing import Any, TypeVar

import transformers
from transformers import PreTrainedModel

from nlp_inference._utils.named_objects import declaration, load_entry_point
from nlp_inference.architectures.crf import AutoModelForCrfTokenClassification
from nlp_inference.architectures.families import AutoHead
from nlp_inference.architectures.multi_task import AutoModelForMultiTask
from nlp_inference.architectures.pooled import AutoModelForPooledSequenceClassification
from nlp_inference.architectures.relations import AutoModelForRelationExtraction
from nlp_inference.architectures.spans import AutoModelForSpanClassification
from nlp_inference.errors import ArtefactError, InvalidSpecError, UnknownTypeError

GROUP = "nlp_inference.architectures"
"""The entry point group of installed packages that declare model classes."""

Model = TypeVar("Model", bound=PreTrainedModel)

_HEADS: tuple[type[AutoHead], ...] = (
    AutoModelForCrfTokenClassification,
    AutoModelForMultiTask,
    AutoModelForPooledSequenceClassification,
    AutoModelForRelationExtraction,
    AutoModelForSpanClassification,
)
_MEMBERS: dict[str, type[PreTrainedModel]] = {}
_SAVED_CODE = "; or if its code was saved with the model and you trust it, load it with trust_remote_code=True"
_CUSTOM_CODE_PACKAGE = "transformers_modules"


def architecture(model: type[Model]) -> type[Model]:
    """Register a custom model class under its class name, for `model: {architecture: MyTagger}` in a run.

    The class has the outputs of the model of its task: `logits`, and `loss` if `labels` are passed. Its encoder is the
    attribute `base_model_prefix`, so that `from_pretrained` loads it from any checkpoint of that family.

    Raises:
        InvalidSpecError: the class is not a `PreTrainedModel`, or transformers, this library or another module has a
            class with this name.

    Example:
        >>> from transformers import BertModel, BertPreTrainedModel
        >>> @architecture
        ... class TaggerForTheExample(BertPreTrainedModel):
        ...     def __init__(self, config):
        ...         super().__init__(config)
        ...         self.bert = BertModel(config, add_pooling_layer=False)
        >>> find_architecture("TaggerForTheExample") is TaggerForTheExample
        True
    """
    given: Any = model
    if not (isinstance(given, type) and issubclass(given, PreTrainedModel)):
        raise InvalidSpecError(f"{model!r:.80} is not a subclass of transformers.PreTrainedModel; derive it from one")
    name, known = model.__name__, _MEMBERS.get(model.__name__)
    if model.__module__.partition(".")[0] == _CUSTOM_CODE_PACKAGE:
        return model  # available only to the model with which it was saved
    if hasattr(transformers, name):
        raise InvalidSpecError(f"transformers already has a class {name!r}; rename the custom class")
    if any(head.class_named(name) is not None for head in _HEADS):
        raise InvalidSpecError(f"nlp_inference already has a class {name!r}; rename the custom class")
    if known is not None and known.__module__ != model.__module__:
        raise InvalidSpecError(
            f"the architecture {name!r} is already registered by {known.__module__}; rename the custom class"
        )
    _MEMBERS[name] = model
    return model


def find_architecture(name: str) -> type[PreTrainedModel] | None:
    """Return the class that is registered as `name`, or `None`; installed packages are included.

    Heads of this library that stand in for a class of transformers are found too.

    Raises:
        InvalidSpecError: an installed package declares the name, but does not register it or cannot be imported.
    """
    for head in _HEADS:
        if head.replaces is not None and (built_in := head.class_named(name)) is not None:
            return built_in
    if name not in _MEMBERS:
        for point in entry_points(group=GROUP, name=name):
            load_entry_point(point, kind="architecture")
            if name not in _MEMBERS:
                declared = declaration(point, kind="architecture")
                raise InvalidSpecError(f"{declared}, which registers no such class; decorate it with @architecture")
    return _MEMBERS.get(name)


def architecture_named(name: str) -> type[PreTrainedModel]:
    """Return the class that a run names.

    Raises:
        UnknownTypeError: the class is not registered.

    Example:
        >>> architecture_named("Taggr")
        Traceback (most recent call last):
        nlp_inference.errors.UnknownTypeError: unknown architecture 'Taggr'; known: ...
    """
    found = find_architecture(name)
    if found is None:
        known = ", ".join(sorted({*_MEMBERS, *(point.name for point in entry_points(group=GROUP))}))
        raise UnknownTypeError(
            f"unknown architecture {name!r}; known: {known or 'none'}. Name the file or module that defines it under "
            "modules, and decorate the class with @architecture"
        )
    return found


def saved_architecture(config: Any, *, auto_model: type, trusted: bool, source: str) -> type[PreTrainedModel] | None:
    """Return the custom class of a saved model; `None` means the class of its task.

    Args:
        config: the content of `config.json`, which may be damaged.
        auto_model: the class that loads models of the task; a class of transformers runs the code of the model, if any.
        trusted: whether code that was saved with the model may run; it is then preferred.
        source: the location of the model, for the message.

    Raises:
        ArtefactError: the class is not available; another class with the same weights would predict differently.
    """
    name = _class_name(config)
    if name is None or (
        trusted and runs_saved_code(auto_model) and auto_model.__name__ in (config.get("auto_map") or {})
    ):
        return None
    if issubclass(auto_model, AutoHead) and auto_model.class_named(name) is not None:
        return None
    found = find_architecture(name)
    if found is None:
        raise ArtefactError(
            f"the model {source!r} is a {name}, which is not a class of transformers; install the package that "
            "declares it, or import the module that defines it" + (_SAVED_CODE if runs_saved_code(auto_model) else "")
        )
    return found


def runs_saved_code(auto_model: type) -> bool:
    """Return whether a loading class runs code that was saved with a model, as trusted classes of transformers do."""
    return not issubclass(auto_model, AutoHead)


def _class_name(config: Any) -> str | None:
    """Return the name of the saved class, or `None` if it is a class of transformers."""
    names = config.get("architectures") if isinstance(config, dict) else None
    name = names[0] if isinstance(names, list) and names else None
    return name if isinstance(name, str) and name.isidentifier() and not hasattr(transformers, name) else None
