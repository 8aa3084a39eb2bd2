"""Heads on any encoder: for each family of transformers a class that adds one to the family's token classifier.

The encoder, its names and its loading stay those of transformers, so that every base checkpoint fits, and what was
saved still is a token classifier to whoever knows no more.
"""

import sys
from typing import Any, ClassVar

import transformers
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoConfig, PretrainedConfig, PreTrainedModel

from nlp_inference.errors import InvalidSpecError

_STOCK = "ForTokenClassification"
_WHERE = ("cache_dir", "force_download", "local_files_only", "proxies", "subfolder", "token")
"""What `from_pretrained` is told of where files are, and the configuration does not hand on."""


class AutoHead:
    """Finds the class of a checkpoint's family, as the `AutoModel` classes of transformers do, and loads it.

    A subclass names its `suffix` and its `mixin`, and its module hands out classes by their names, which pickling
    needs: `__getattr__ = AutoSomething.class_of_module`.
    """

    suffix: ClassVar[str]
    """What stands in a class's name for `ForTokenClassification`."""
    mixin: ClassVar[type]
    """What is added to the token classifier of a family: its weights, its `forward` and its `_init_weights`."""

    @classmethod
    def from_pretrained(cls, name_or_path: Any, *, revision: str = "main", **options: Any) -> Any:
        """Load a model of the saved weights, or of a base checkpoint with a fresh head.

        Args:
            name_or_path: a folder or a Hub id.
            revision: branch, tag or commit on the Hub.
            options: as `PreTrainedModel.from_pretrained` takes them, and values of the configuration. Code that comes
                with a checkpoint is not run, whatever `trust_remote_code` says.

        Raises:
            InvalidSpecError: transformers has no token classifier of the checkpoint's family.
        """
        where = {"revision": revision, **{name: options.pop(name) for name in _WHERE if name in options}}
        of_model = {name: options.pop(name) for name in ("dtype", "output_loading_info") if name in options}
        options["trust_remote_code"] = False  # else transformers asks whoever writes to the standard input
        config, unused = AutoConfig.from_pretrained(name_or_path, return_unused_kwargs=True, **where, **options)
        unused.pop("trust_remote_code", None)
        model_class = cls.class_for(type(config))
        return model_class.from_pretrained(name_or_path, config=config, **where, **of_model, **unused)

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> PreTrainedModel:
        """A model with fresh weights.

        Raises:
            InvalidSpecError: transformers has no token classifier of this family.
        """
        return cls.class_for(type(config))(config)

    @classmethod
    def class_for(cls, config: type[PretrainedConfig]) -> type[PreTrainedModel]:
        """The class for encoders of a family.

        Raises:
            InvalidSpecError: transformers has no token classifier of it.
        """
        if config not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
            raise InvalidSpecError(
                f"transformers has no token classifier with a {config.__name__}, on which {cls.__name__} stands; take "
                "another base, such as a BERT"
            )
        stock: Any = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[config]
        return cls._derived(stock)

    @classmethod
    def class_named(cls, name: str) -> type[PreTrainedModel] | None:
        """The class that is called so, such as `BertForCrfTokenClassification`; `None` if there can be none."""
        family = name.removesuffix(cls.suffix)
        stock: Any = None if family in ("", name) else getattr(transformers, family + _STOCK, None)
        return cls._derived(stock) if isinstance(stock, type) else None

    @classmethod
    def class_of_module(cls, name: str) -> type[PreTrainedModel]:
        """The `__getattr__` of the module of a subclass.

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
