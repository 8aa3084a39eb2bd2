"""The quicker import of transformers lists the same models as the usual one."""

from pathlib import Path

import transformers
from transformers.utils import import_utils

from nlp_inference._utils.quick_imports import import_transformers, names_without_prefix


def test_models_are_those_that_transformers_lists_itself():
    models = Path(transformers.__file__).parent / "models"
    with_prefix = import_utils.define_import_structure(models, prefix="models")
    assert names_without_prefix(with_prefix, "models.") == import_utils.define_import_structure(models / "__init__.py")


def test_import_restores_what_it_replaces(monkeypatch):
    read = import_utils.define_import_structure
    assert import_transformers() is transformers
    assert import_utils.define_import_structure is read
    monkeypatch.delattr(import_utils, "define_import_structure")
    assert import_transformers() is transformers
