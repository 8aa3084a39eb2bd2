"""Checks of a custom model class with a small model with random weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from nlp_inference import Annotation, Category, Document, Span, Task
from nlp_inference.architectures.custom_architectures import find_architecture
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.input_rows import IGNORED, Row, pad_targets
from nlp_inference.encoding.windows import Window
from nlp_inference.encoding.words import Words
from nlp_inference.testing._laws import attempt, failed

_SHORT, _LONG = 5, 9
_TOLERANCE = 1e-4


def check_architecture(
    model_class: type[PreTrainedModel], *, config: PretrainedConfig, task: Task, seed: int = 0
) -> None:
    """Check all laws of a custom model class.

    The laws: it is registered by its name; it returns the outputs that its task reads, in the right shape; a row does
    not depend on other rows or on padding; the same input gives bit-for-bit equal outputs, also after saving and
    loading; its encoder is loaded from a base checkpoint; its loss is finite and has finite gradients for every weight;
    and ignored targets do not count.

    Args:
        model_class: a class decorated with `@architecture`.
        config: the configuration of a small model, such as `BertConfig(hidden_size=16, num_hidden_layers=1, ...)`.
        task: the task of the model.
        seed: the seed of weights and inputs.

    Raises:
        CheckFailedError: a law is broken; the message names it and what happened.
    """
    if find_architecture(model_class.__name__) is not model_class:
        raise failed(model_class, "it is known by its name", "put @architecture before the class")
    for key, value in task.model_settings().items():
        setattr(config, key, value)
    with torch.random.fork_rng(), _quiet():
        torch.manual_seed(seed)
        model = attempt(model_class, "it is made from its configuration", model_class, config).eval()
        _enlarge_weights(model)
        short, long = (torch.randint(5, config.vocab_size, (1, length)) for length in (_SHORT, _LONG))
        _check_outputs(model, task, short, long, labels=len(task.model_settings()["id2label"]))
        _check_saving(model, task, long)
        _check_base(model)
        _check_loss(model, task, long)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress log lines and progress bars of saving and loading."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _enlarge_weights(model: PreTrainedModel) -> None:
    """Enlarge the weights, because the outputs of a new model hardly depend on the input."""
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)


def _run(model: PreTrainedModel, task: Task, ids: Tensor, mask: Tensor | None = None, **labels: Tensor) -> Any:
    mask = torch.ones_like(ids) if mask is None else mask
    law = "it returns the outputs that its task reads"
    found = attempt(type(model), law, lambda: task.run(model, {"input_ids": ids, "attention_mask": mask, **labels}))
    outputs: Any = found
    absent = [name for name in task.outputs if not isinstance(outputs, Mapping) or outputs.get(name) is None]
    if absent:
        raise failed(type(model), law, f"its output has no {absent[0]!r}; return a ModelOutput with {task.outputs}")
    return found


def _outputs(model: PreTrainedModel, task: Task, ids: Tensor, mask: Tensor | None = None) -> list[Tensor]:
    with torch.inference_mode():
        found = _run(model, task, ids, mask)
    return [found[name] for name in task.outputs]


def _check_outputs(model: PreTrainedModel, task: Task, short: Tensor, long: Tensor, *, labels: int) -> None:
    alone = _outputs(model, task, short)
    shape = [1, _SHORT, labels] if task.needs == "spans" else [1, labels]
    if not task.own_loss and task.outputs == ("logits",) and list(alone[0].shape) != shape:
        raise failed(type(model), "its output has the right shape", f"logits {list(alone[0].shape)}, expected {shape}")
    if any(not torch.equal(one, again) for one, again in zip(alone, _outputs(model, task, short), strict=True)):
        raise failed(type(model), "the same input gives equal outputs", "they differed; is there dropout in eval()?")
    pad = torch.nn.functional.pad
    padded = pad(short, (0, _LONG - _SHORT), value=model.config.pad_token_id or 0)
    mask = torch.cat([pad(torch.ones_like(short), (0, _LONG - _SHORT)), torch.ones_like(long)])
    for law, ids, masks in (
        ("a row does not depend on padding", padded, mask[:1]),
        ("a row does not depend on other rows", torch.cat([padded, long]), mask),
        ("a row does not depend on other rows", torch.cat([padded, long.flip(1)]), mask),
    ):
        for one, other in zip(alone, _outputs(model, task, ids, masks), strict=True):
            part = other[tuple(map(slice, one.shape))]  # without the other row and padding
            gap = float((one - part).abs().max()) if one.shape == part.shape else float("inf")
            if not gap <= _TOLERANCE:
                raise failed(
                    type(model), law, f"its output changed by {gap:.3g}; ignore positions where attention_mask is 0"
                )


def _check_saving(model: PreTrainedModel, task: Task, ids: Tensor) -> None:
    law = "its outputs are equal bit for bit after saving and loading"
    with TemporaryDirectory() as folder:
        attempt(type(model), law, model.save_pretrained, folder)
        again = attempt(type(model), law, type(model).from_pretrained, folder).eval()
    for one, other in zip(_outputs(model, task, ids), _outputs(again, task, ids), strict=True):
        if not torch.equal(one, other):
            raise failed(type(model), law, "it does not; are there weights that are no parameters or buffers?")


def _check_base(model: PreTrainedModel) -> None:
    law, prefix = "its encoder comes from a base checkpoint", type(model).base_model_prefix
    if not prefix or not isinstance(getattr(model, prefix, None), PreTrainedModel):
        raise failed(
            type(model), law, f"base_model_prefix is {prefix!r}, which names no encoder; name the attribute so"
        )
    base: Any = model.base_model
    with TemporaryDirectory() as folder:
        base.save_pretrained(folder)
        loaded = attempt(type(model), law, lambda: type(model).from_pretrained(folder, config=model.config))
    other = loaded.base_model.state_dict()
    lost = [name for name, value in base.state_dict().items() if not torch.equal(value, other[name])]
    if lost:
        raise failed(type(model), law, f"{lost[0]!r} was not loaded; is the encoder under {prefix!r}?")


def _targets(task: Task, ids: Tensor) -> dict[str, Tensor]:
    """What the task asks of a text of as many words of one letter, the last ones of which are gold."""
    words, label = ids.shape[1], task.model_settings()["id2label"]
    label = getattr(task, "labels", tuple(label.values()))[0]
    text = " ".join("a" * words)
    span, category = Span(start=len(text) - 3, end=len(text), label=label), Category(label=label)
    gold = Annotation(spans=(span,), categories=(category,))
    starts = np.arange(0, len(text), 2)
    document = Document(raw_text=text, id="check", gold=gold)
    offsets = np.stack([starts, starts + 1], axis=1)
    window = Window(0, words, 0, words)
    token_ids = ids[0].numpy()
    each = np.arange(words)
    units = Words(each, starts, starts + 1, "unicode")
    encoded = EncodedDocument(document, token_ids, offsets, each, units, None, None, (window,))
    made = task.targets(encoded, [Row(token_ids, np.zeros_like(token_ids), slice(0, words))])
    return {name: torch.from_numpy(array) for name, array in pad_targets(made).items()}


def _check_loss(model: PreTrainedModel, task: Task, ids: Tensor) -> None:
    law = "its loss is finite and has a finite gradient for every weight"
    targets = _targets(task, ids)
    labels = targets["labels"]
    ignores = labels.shape == ids.shape
    if ignores:
        labels[0, : _LONG // 2] = IGNORED
    found = _run(model, task, ids, **targets)
    loss: Any = found.get("loss")
    if not isinstance(loss, Tensor) or loss.ndim or not bool(torch.isfinite(loss)):
        raise failed(type(model), law, f"with `labels`, loss is {loss!r:.80}; compute it by cross_entropy")
    found["logits"].retain_grad()
    torch.autograd.backward(loss)
    for name, weight in model.named_parameters():
        if weight.grad is None or not bool(torch.isfinite(weight.grad).all()):
            what = "has no gradient: several processes would wait for it forever" if weight.grad is None else "has none"
            raise failed(type(model), law, f"the weight {name!r} {what}; use it in the loss, or remove it")
    gradient = found["logits"].grad
    if ignores and gradient is not None and bool(gradient[0, : _LONG // 2].any()):
        raise failed(type(model), "targets that are ignored do not count", f"use ignore_index={IGNORED}")
