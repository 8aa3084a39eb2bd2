"""Folders that are no stock checkpoint of transformers, and what to do with each."""

import json
from pathlib import Path
from typing import Any

from nlp_training.adopt.deduction import UnsupportedModelError

_SPACY = (
    "a spaCy pipeline, whose tokenizer, components and transition-based parser are code of spaCy; no part of it is "
    "taken. Label texts with it (nlp(text).ents), and train a model on them: nlp-training train"
)
_GLINER = (
    "a GLiNER model, which reads the names of the labels with each text and has its own architecture; transformers "
    "cannot load it. Label texts with it, and train a model on them: nlp-training train"
)
_FILES: dict[str, str] = {
    "processor_config.json": "",  # see `_own_or_other`
    "gliner_config.json": _GLINER,
    "config.cfg": _SPACY,
    "adapter_config.json": (
        "an adapter without its base model; merge it: model = model.merge_and_unload(), then "
        "model.save_pretrained(FOLDER) and tokenizer.save_pretrained(FOLDER)"
    ),
    "config_setfit.json": "a SetFit model, whose head is a pickle of scikit-learn; train with few_shot instead",
    "modules.json": "a sentence-transformers model, which embeds texts and has no head of a task; use it as model.base",
    "training_config.pickle": "a model of another library",
}
_MODEL_TYPES = {"span-marker": "a SpanMarker model, whose head transformers does not have", "gliner": _GLINER}


def refuse_foreign(folder: Path, *, source: str) -> None:
    """Refuse folders of other libraries, by the files that they have.

    Args:
        folder: the folder.
        source: its name, for the message.

    Raises:
        UnsupportedModelError: it is not a checkpoint that transformers saved.
    """
    if _is_ours(folder / "processor_config.json"):
        raise UnsupportedModelError(
            f"{source!r} is already an artefact of nlp-inference; serve it with Predictor.from_pretrained({source!r})"
        )
    config = read_json(folder / "config.json")
    what = _MODEL_TYPES.get(str(config.get("model_type"))) or _by_files(folder, config)
    if what is not None:
        raise UnsupportedModelError(f"{source!r} is {what}")
    if not (folder / "config.json").is_file():
        raise UnsupportedModelError(
            f"{source!r} has no config.json; expected a folder or a Hub id of a model that transformers saved with "
            "save_pretrained"
        )
    if config.get("auto_map"):
        raise UnsupportedModelError(
            f"{source!r} needs code that is saved with it (auto_map in config.json), which may do anything and is not "
            "in transformers; adopt a model whose class transformers has"
        )
    if config.get("quantization_config"):
        raise UnsupportedModelError(
            f"{source!r} has quantized weights; adopt the model that it was made from, and quantize it afterwards: "
            "nlp-training export OUT --dtype int8"
        )


def _by_files(folder: Path, config: dict[str, Any]) -> str | None:
    meta = read_json(folder / "meta.json")
    if "spacy_version" in meta:
        return _SPACY
    for name, what in _FILES.items():
        is_there = bool(what) and (folder / name).is_file()
        if is_there and not (name == "modules.json" and _has_head(config)):
            return what
    return None


def _has_head(config: dict[str, Any]) -> bool:
    """Return whether a config names a head: cross-encoders of sentence-transformers are stock classifiers."""
    return any("For" in str(name) for name in config.get("architectures") or ())


def _is_ours(path: Path) -> bool:
    return "format_version" in (content := read_json(path)) and "task" in content


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one if there is no such file.

    Raises:
        UnsupportedModelError: the file is not JSON.
    """
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UnsupportedModelError(f"{path.name} is not JSON: {error}; fetch the model again") from error
    return content if isinstance(content, dict) else {}
