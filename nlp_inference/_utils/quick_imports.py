"""Quicker imports, for commands."""

from pathlib import Path
from typing import Any

from nlp_inference._utils.garbage_collection import without_collection


def import_transformers() -> Any:
    """Import transformers, and let it list its models once instead of twice, which saves a third of a second.

    `transformers` and `transformers.models` both read the 1,650 files of the models when they are imported, to list
    their names. The second list is the first one without the prefix `models.`. If another version of transformers
    lists its models in another way, it is imported as usual.
    """
    with without_collection():
        return _import_transformers()


def _import_transformers() -> Any:
    import transformers
    from transformers.utils import import_utils

    read = getattr(import_utils, "define_import_structure", None)
    if read is not None:
        models = Path(transformers.__file__).parent / "models"

        def without_prefix(path: Any, prefix: str | None = None) -> Any:
            if prefix is not None or Path(path) != models / "__init__.py":
                return read(path, prefix)
            return names_without_prefix(read(models, prefix="models"), "models.")  # a cached value

        try:
            vars(import_utils)["define_import_structure"] = without_prefix
            import transformers.models
        finally:
            vars(import_utils)["define_import_structure"] = read
    return transformers


def names_without_prefix(structure: dict[Any, dict[str, Any]], prefix: str) -> dict[Any, dict[str, Any]]:
    """Return the modules whose names have a prefix, without it, in the form of transformers.

    Example:
        >>> names_without_prefix({"needs": {"models.bert": {"BertConfig"}, "trainer": {"Trainer"}}}, "models.")
        {'needs': {'bert': {'BertConfig'}}}
    """
    return {
        needs: {name.removeprefix(prefix): members for name, members in modules.items() if name.startswith(prefix)}
        for needs, modules in structure.items()
    }
