"""Encoder-decoder models that write a text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel

from nlp_inference import Annotation, Document, Task
from nlp_inference.tasks import TextGeneration
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction
from nlp_training.adopt.foreign import read_json
from nlp_training.adopt.heads.base import HeadPlan, StockHead, StockPrediction, StockRoute, task_with
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel

_SEARCH = ("num_beams", "length_penalty", "early_stopping", "no_repeat_ngram_size", "repetition_penalty")
_OF_BEAMS = ("length_penalty", "early_stopping")
_PREFIX = "prefix"


class GenerationHead(StockHead):
    """`AutoModelForSeq2SeqLM`."""

    auto_model = "AutoModelForSeq2SeqLM"
    tasks = ("text-generation",)

    def plan(self, stock: StockModel, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> HeadPlan:  # noqa: ARG002
        """Take the search from `generation_config.json`, and the prefix from `task_specific_params`."""
        stated = {**stock.config_json, **read_json(stock.folder / "generation_config.json")}
        found, deductions = _search_settings(stated, stock.limits.target_positions)
        if _PREFIX not in options.settings and (prefix := _prefix(stock.config_json)) is not None:
            found[_PREFIX] = prefix.value
            deductions.append(prefix)
        task = task_with(TextGeneration, found, options, deductions)
        return HeadPlan(task, stock.load(None), deductions, search=found)

    def route(self, model: PreTrainedModel, stock: StockModel, task: Task) -> StockRoute:
        """Return a plain call of `generate`, because transformers has no pipeline for it."""
        return GenerationRoute(model, stock, task)


class GenerationRoute(StockRoute):
    """`model.generate` on the prefix and the text, with the same settings of the search."""

    title: ClassVar[str] = "model.generate"
    call = "tokenizer.decode(model.generate(**tokenizer(prefix + text))[0])  # transformers 5 has no pipeline for it"

    def __init__(self, model: PreTrainedModel, stock: StockModel, task: Any) -> None:
        self._model: Any = model
        self._tokenizer, self._prefix = stock.untouched, task.text_prefix
        self._search = {name: getattr(task, name) for name in ("max_new_tokens", "num_beams")}

    def predict(self, document: Document) -> StockPrediction:
        """Write one text."""
        try:
            encoded: Any = self._tokenizer(self._prefix + document.raw_text, return_tensors="pt", truncation=True)
            with torch.inference_mode():
                ids = self._model.generate(**encoded, **self._search, do_sample=False)
        except Exception as error:  # noqa: BLE001 - whatever the model raises is its result
            return StockPrediction(None, f"{type(error).__name__}: {error}")
        text = self._tokenizer.decode(ids[0], skip_special_tokens=True)
        return StockPrediction(Annotation(generated=(text,)), read=len(document.raw_text))


def _search_settings(stated: Mapping[str, Any], positions: int | None) -> tuple[dict[str, Any], list[Deduction]]:
    """Return the fields of the task that the checkpoint states."""
    beams = stated.get("num_beams") or 1
    found = {
        name: stated[name]
        for name in _SEARCH
        if stated.get(name) is not None and (beams > 1 or name not in _OF_BEAMS) and stated[name] != "never"
    }
    deductions = [
        Deduction(name, str(value), "generation_config.json or config.json", f"--set {name}=…", "stated")
        for name, value in found.items()
    ]
    longest = stated.get("max_new_tokens") or stated.get("max_length")
    if isinstance(longest, int) and longest > 0:
        longest = min(longest, positions or longest)
        evidence, basis = "max_new_tokens or max_length of generation_config.json", "stated"
    else:
        longest, evidence, basis = min(128, positions or 128), "nothing is stated", "assumed"
    deductions.append(Deduction("max_new_tokens", str(longest), evidence, "--set max_new_tokens=…", basis))  # type: ignore[arg-type]
    return {**found, "max_new_tokens": longest}, deductions


def _prefix(config: Mapping[str, Any]) -> Deduction | None:
    """Return the prefix of the only task that a configuration states.

    Raises:
        AmbiguousModelError: it states several tasks with different prefixes.
    """
    tasks = config.get("task_specific_params") or {}
    prefixes = sorted(
        {str(one.get(_PREFIX)) for one in tasks.values() if isinstance(one, Mapping) and one.get(_PREFIX)}
    )
    if len(prefixes) > 1:
        raise AmbiguousModelError(
            "prefix", f"task_specific_params has several: {prefixes!r}", option="--set prefix='summarize: '"
        )
    if not prefixes:
        return None
    return Deduction(_PREFIX, prefixes[0], "task_specific_params of config.json", "--set prefix=…", "stated")
