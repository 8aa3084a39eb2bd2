"""Heads on any encoder: for each model family, a class that adds a head to the token classifier of transformers.

The encoder, its weight names and its loading are those of transformers, so that every base checkpoint can be loaded,
and a saved model can still be loaded as a token classifier.
"""

import sys
from typing import Any, ClassVar

import transformers
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoConfig, PretrainedConfig, PreTrainedModel

from nlp_inference.errors import InvalidSpecError

_STOCK = "ForTokenClassification"
_WHERE = ("cache_dir", "force_download", "local_files_only", "proxies", "subfolder", "token")
"""Options of `from_pretrained` that locate files and that the configuration does not pass on."""


class AutoHead:
    """Loader that finds the class of a checkpoint's family, similar to the `AutoModel` classes of transformers.

    A subclass defines `suffix` and `mixin`. Its module provides the classes by name, which pickling requires:
    `__getattr__ = AutoSomething.class_of_module`.
    """

    suffix: ClassVar[str]
    """The replacement of `ForTokenClassification` in class names."""
    replaces: ClassVar[str | None] = None
    """The loading class of transformers whose models have the same outputs, so that its tasks accept this head too."""
    mixin: ClassVar[type]
    """The mixin of the token classifier of a family, with its weights, `forward` and `_init_weights`."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Keys of the configuration that the head adds to those of the family."""

    @classmethod
    def from_pretrained(cls, name_or_path: Any, *, revision: str = "main", **options: Any) -> Any:
        """Load a saved model, or a base checkpoint with a newly initialized head.

        Args:
            name_or_path: a folder or a Hub id.
            revision: branch, tag or commit on the Hub.
            options: options of `PreTrainedModel.from_pretrained`, and values of the configuration. Code of a checkpoint
                never runs, regardless of `trust_remote_code`.

        Raises:
            InvalidSpecError: transformers has no token classifier of the checkpoint's family.
        """
        where = {"revision": revision, **{name: options.pop(name) for name in _WHERE if name in options}}
        of_model = {name: options.pop(name) for name in ("dtype", "output_loading_info") if name in options}
        options["trust_remote_code"] = False  # otherwise transformers prompts on the standard input
        config, unused = AutoConfig.from_pretrained(name_or_path, return_unused_kwargs=True, **where, **options)
        unused.pop("trust_remote_code", None)
        for name in unused.keys() & set(cls.settings):
            setattr(config, name, unused.pop(name))
        model_class = cls.class_for(type(config))
        return model_class.from_pretrained(name_or_path, config=config, **where, **of_model, **unused)

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> PreTrainedModel:
        """Build a model with newly initialized weights.

        Raises:
            InvalidSpecError: transformers has no token classifier of this family.
        """
        return cls.class_for(type(config))(config)

    @classmethod
    def class_for(cls, config: type[PretrainedConfig]) -> type[PreTrainedModel]:
        """Return the class for encoders of a family.

        Raises:
            InvalidSpecError: transformers has no token classifier of this family.
        """
        if config not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
            raise InvalidSpecError(
                f"transformers has no token classifier with a {config.__name__}, which {cls.__name__} requires; use "
                "another base model, such as a BERT"
            )
        stock: Any = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[config]
        return cls._derived(stock)

    @classmethod
    def class_named(cls, name: str) -> type[PreTrainedModel] | None:
        """Return the class with this name, such as `BertForCrfTokenClassification`, or `None`."""
        family = name.removesuffix(cls.suffix)
        stock: Any = None if family in ("", name) else getattr(transformers, family + _STOCK, None)
        return cls._derived(stock) if isinstance(stock, type) else None

    @classmethod
    def class_of_module(cls, name: str) -> type[PreTrainedModel]:
        """Return the class with this name; used as the `__getattr__` of the module of a subclass.

        Raises:
            AttributeError: the module has no such class.
        """
        found = cls.class_named(name)
        if found is None:
            raise AttributeError(f"module {cls.__module__!r} has no attribute {name!r}")
        return found

    @classmethod
    def _derived(cls, stock: type[PreTrainedModel]) -> type[PreTrainedModel]:
        name, module = stock.__name__.removesuffix(_STOCK) + cls.suffix, sys.modules[cls.__module__]
        if name not in vars(module):
            described = {"__module__": cls.__module__, "__doc__": cls.mixin.__doc__}
            setattr(module, name, type(name, (cls.mixin, stock), described))
        made: type[PreTrainedModel] = vars(module)[name]
        return made
