"""Settings to try, in steps: those that influence each other are tried together."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from nlp_inference import Processor, Task
from nlp_inference.encoding.windows import WindowSettings
from nlp_training.evaluation.fitting import with_task

STEPS = (("words", "aggregation"), ("window", "overlap", "pooling"), ("max_answer_tokens",), ("outside_bias",))
"""The settings of each step, in the order of the steps. What a word is decides which tokens are combined. Pooling
combines windows, so that it depends on their length. `outside_bias` shifts the outputs that all others produce."""

_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "words": ("unicode", "whitespace", "tokenizer"),
    "aggregation": ("first", "mean", "max", "none"),
    "pooling": ("mean", "max", "first"),
    "max_answer_tokens": (15, 30, 60),
    "outside_bias": (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0),
}
"""Fields of tasks, with the values to try."""

_LENGTHS = (256, 128)
"""Lengths of windows to try, in addition to the longest."""

_ENCODED = ("words", "window", "overlap")
"""Settings that change what the model reads."""

_OF_WINDOWS = ("window", "overlap", "pooling")
"""Settings that matter only if a text has several windows."""


class Axis(NamedTuple):
    """A setting with the values to try.

    Attributes:
        name: its name.
        values: the values by their shown names; the first one is what is assumed.
        apply: returns a processor with a value.
        encoded: whether the value changes what the model reads.
    """

    name: str
    values: Mapping[str, Any]
    apply: Callable[[Processor, Any], Processor]
    encoded: bool


class Candidate(NamedTuple):
    """A combination of values.

    Attributes:
        values: the shown value of each setting.
        reading: those of them that change what the model reads.
        processor: the processor with the values.
        changes: how many values differ from what is assumed, and by how much numbers differ.
    """

    values: dict[str, str]
    reading: tuple[str, ...]
    processor: Processor
    changes: tuple[int, float]


def step_axes(
    names: Sequence[str], processor: Processor, *, keep: Collection[str], has_windows: bool
) -> Iterator[Axis]:
    """Yield the settings of a step that the task has and that matter.

    Args:
        names: the settings of the step.
        processor: what is assumed.
        keep: fields that the user stated.
        has_windows: whether a text has several windows.
    """
    for name in names:
        if name in keep or (name in _OF_WINDOWS and not has_windows):
            continue
        if name in _FIELDS:
            if name in type(processor.task).model_fields:
                yield _field_axis(name, processor)
        elif name == "window":
            yield _length_axis(processor)
        else:
            yield Axis(name, {"default": None, "half": 0.5}, _with_overlap, encoded=True)


def candidates(axes: Sequence[Axis], processor: Processor) -> Iterator[Candidate]:
    """Yield all combinations of values; those that the model reads in the same way follow each other.

    The first one is what is assumed.
    """
    ordered = sorted(axes, key=lambda axis: not axis.encoded)
    for chosen in product(*(axis.values.items() for axis in ordered)):
        changed = processor
        pairs = list(zip(ordered, chosen, strict=True))
        for axis, (shown, value) in pairs:
            if shown != next(iter(axis.values)):
                changed = axis.apply(changed, value)
        shown_of = {axis.name: shown for axis, (shown, _) in pairs}
        yield Candidate(
            {axis.name: shown_of[axis.name] for axis in axes},
            tuple(shown for axis, (shown, _) in pairs if axis.encoded),
            changed,
            _changes((next(iter(axis.values.values())), value) for axis, (_, value) in pairs),
        )


def _changes(pairs: Iterable[tuple[Any, Any]]) -> tuple[int, float]:
    """Return how many pairs of values differ, and by how much their numbers differ."""
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    numbers = [pair for pair in changed if all(isinstance(value, float | int) for value in pair)]
    return len(changed), sum(abs(one - other) for one, other in numbers)


def _field_axis(name: str, processor: Processor) -> Axis:
    assumed = getattr(processor.task, name)
    order = [assumed, *(value for value in _FIELDS[name] if value != assumed)]
    values = {str(value): value for value in order}
    return Axis(name, values, partial(_with_field, name=name), encoded=name in _ENCODED)


def _length_axis(processor: Processor) -> Axis:
    longest = processor.layout.max_length
    lengths = [longest, *(length for length in _LENGTHS if length < longest)]
    return Axis("window", {f"{one} tokens": one for one in lengths}, _with_length, encoded=True)


def _with_field(processor: Processor, value: Any, *, name: str) -> Processor:
    task: Task = processor.task
    return with_task(processor, type(task).from_value({**task.model_dump(), name: value}))


def _with_length(processor: Processor, length: int) -> Processor:
    return _with_windows(processor, max_length=length)


def _with_overlap(processor: Processor, share: float) -> Processor:
    return _with_windows(processor, overlap=int(processor.layout.capacity(0) * share))


def _with_windows(old: Processor, **changes: Any) -> Processor:
    windows = WindowSettings.model_validate({**old.windows.model_dump(), **changes})
    return Processor(
        old.tokenizer, old.task, old.preprocess.to_spec(), old.postprocess.to_spec(), windows, old.format_version
    )
