"""`AutoProcessor` knows the Processor as soon as this package is imported, although neither is loaded by that."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_AUTO_MODULE = "transformers.models.auto.processing_auto"


def register_processor() -> None:
    """Register the Processor with transformers' `AutoProcessor`: now if that is loaded, else when it will be.

    Example:
        >>> register_processor()
        >>> from transformers import AutoProcessor
        >>> "nlp_inference.processor" in sys.modules
        True
    """
    if _AUTO_MODULE in sys.modules:
        import_module("nlp_inference.processor")
    elif not any(isinstance(finder, _AfterTransformers) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterTransformers())


class _AfterTransformers(MetaPathFinder):
    """Finds one module as Python would, and loads the Processor after it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _AUTO_MODULE:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenProcessor(spec.loader)
        return spec


class _ThenProcessor(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        import_module("nlp_inference.processor")
