"""Model classes of users, by their names: `config.json` names the class, and loading finds it again or refuses."""

from importlib.metadata import entry_points
from typing import Any, TypeVar

import transformers
from transformers import PreTrainedModel

from nlp_inference._utils.named_objects import declaration, load_entry_point
from nlp_inference.architectures.crf import AutoModelForCrfTokenClassification
from nlp_inference.architectures.families import AutoHead
from nlp_inference.architectures.spans import AutoModelForSpanClassification
from nlp_inference.errors import ArtefactError, InvalidSpecError, UnknownTypeError

GROUP = "nlp_inference.architectures"
"""The entry points of installed packages that have model classes."""

Model = TypeVar("Model", bound=PreTrainedModel)

_HEADS: tuple[type[AutoHead], ...] = (AutoModelForCrfTokenClassification, AutoModelForSpanClassification)
_MEMBERS: dict[str, type[PreTrainedModel]] = {}
_SAVED_CODE = "; or if its code was saved with the model and you trust it, load it with trust_remote_code=True"
_OF_ARTEFACTS = "transformers_modules"


def architecture(model: type[Model]) -> type[Model]:
    """Let runs name a model class of your own: `model: {architecture: MyTagger}`. It is known by its own name.

    The class answers as the model of its task does: `logits`, and `loss` where `labels` are given. Its encoder stands
    under `base_model_prefix`, so that `from_pretrained` takes it from any checkpoint of that kind.

    Raises:
        InvalidSpecError: it is no `PreTrainedModel`, or transformers, this library or somebody else has a class of its
            name.

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
        raise InvalidSpecError(f"{model!r:.80} is no subclass of transformers.PreTrainedModel; derive it from one")
    name, known = model.__name__, _MEMBERS.get(model.__name__)
    if model.__module__.partition(".")[0] == _OF_ARTEFACTS:
        return model  # known to the model that it came with, and to no other
    if hasattr(transformers, name):
        raise InvalidSpecError(f"transformers has a class {name!r} itself; give yours another name")
    if any(head.class_named(name) is not None for head in _HEADS):
        raise InvalidSpecError(f"nlp_inference has a class {name!r} itself; give yours another name")
    if known is not None and known.__module__ != model.__module__:
        raise InvalidSpecError(f"the architecture {name!r} belongs to {known.__module__}; give yours another name")
    _MEMBERS[name] = model
    return model


def find_architecture(name: str) -> type[PreTrainedModel] | None:
    """The class that is registered as `name`, by an installed package too; `None` if there is none.

    Raises:
        InvalidSpecError: an installed package declares the name, but does not register it or cannot be imported.
    """
    if name not in _MEMBERS:
        for point in entry_points(group=GROUP, name=name):
            load_entry_point(point, kind="architecture")
            if name not in _MEMBERS:
                declared = declaration(point, kind="architecture")
                raise InvalidSpecError(f"{declared}, which registers no such class; put @architecture before it")
    return _MEMBERS.get(name)


def architecture_named(name: str) -> type[PreTrainedModel]:
    """The class that a run names.

    Raises:
        UnknownTypeError: there is none.

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
            "modules, and put @architecture before the class"
        )
    return found


def saved_architecture(config: Any, *, auto_model: type, trusted: bool, source: str) -> type[PreTrainedModel] | None:
    """The class of a user's that a saved model needs; `None` means the one of its task.

    Args:
        config: what `config.json` holds, which may be damaged.
        auto_model: the class that loads models of its task; one of transformers runs the code of the model, if there is
            some.
        trusted: whether code that was saved with the model may run; then it is preferred.
        source: of the model, for the message.

    Raises:
        ArtefactError: it is not here, and another class with the same weights would predict otherwise.
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
            f"the model {source!r} is a {name}, a class that transformers does not have; install the package that has "
            "it, or import the module that defines it" + (_SAVED_CODE if runs_saved_code(auto_model) else "")
        )
    return found


def runs_saved_code(auto_model: type) -> bool:
    """Whether a class that loads models runs code that was saved with them: those of transformers do, if trusted."""
    return not issubclass(auto_model, AutoHead)


def _class_name(config: Any) -> str | None:
    """The name of the saved class, unless transformers has it."""
    names = config.get("architectures") if isinstance(config, dict) else None
    name = names[0] if isinstance(names, list) and names else None
    return name if isinstance(name, str) and name.isidentifier() and not hasattr(transformers, name) else None
