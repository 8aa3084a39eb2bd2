"""What a user states about a compression, and the plan that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from nlp_inference._utils.extras import is_installed
from nlp_inference.backends.descriptors import REFERENCE, all_backends, find_backend
from nlp_inference.errors import InvalidSpecError
from nlp_training._utils.layer_stacks import is_decoder
from nlp_training.compress.students import spaced_layers, student_name
from nlp_training.export.base import Int8Mode, find_exporter

MAX_DROP = 0.5
"""Points of the score that the chosen model may lose."""


class Variant(NamedTuple):
    """A backend with a precision, in which a student is exported, scored and measured.

    Attributes:
        backend: the name of the backend.
        dtype: the precision.
        int8_mode: the source of the scales of 8-bit activations, if the precision is int8.
    """

    backend: str
    dtype: str
    int8_mode: Int8Mode | None = None

    @property
    def name(self) -> str:
        """A short name, such as `onnx-int8-static`."""
        return "-".join(part for part in self if part)


class StudentPlan(NamedTuple):
    """A student to train.

    Attributes:
        layers: for each stack of layers, those of the teacher that it keeps.
        width: the width of its feed-forward blocks; `None` keeps that of the teacher.
    """

    layers: Mapping[str, Sequence[int]]
    width: int | None = None

    @property
    def name(self) -> str:
        """A short name, which is also that of its folder."""
        return student_name(self.layers, self.width)


@dataclass(frozen=True)
class CompressOptions:
    """What a user states about a compression; `None` and empty values mean the defaults.

    Args:
        max_drop: the points of the score that the chosen model may lose.
        layers: the choices of layers: a number of layers, or indices such as `0-3`. A model with a decoder keeps as
            large a share of its layers.
        feed_forward: the widths of feed-forward blocks; `None` is that of the teacher.
        trim_vocabulary: whether tokens that no text needs are removed.
        epochs: the epochs of each training.
        backends: the backends to export to; by default those that are installed.
        dtypes: the precisions to export.
        int8_modes: the sources of the scales of 8-bit activations.
        temperature, mix: of the loss `distillation`, if the task has one.
        hidden_states, outputs: the weights of the section `distillation`; outputs count if the task has no such loss.
        settings: other keys of the configuration of each training, such as `{"training.learning_rate": 1e-4}`.
        measured: the number of texts whose speed is measured.
        rounds: the rounds of the measurement.
        seed: of splits and samples.
    """

    max_drop: float = MAX_DROP
    layers: tuple[str, ...] = ()
    feed_forward: tuple[int | None, ...] = (None,)
    trim_vocabulary: bool = False
    epochs: float = 3.0
    backends: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("int8",)
    int8_modes: tuple[Int8Mode, ...] = ()
    temperature: float = 2.0
    mix: float = 0.7
    hidden_states: float = 0.0
    outputs: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    measured: int = 256
    rounds: int = 3
    seed: int = 0


def plan_students(stacks: Mapping[str, int], options: CompressOptions) -> list[StudentPlan]:
    """Return the students to train, the largest first.

    Args:
        stacks: the number of layers of each stack of the teacher.
        options: what the user states.

    Raises:
        InvalidSpecError: a choice of layers is invalid.

    Example:
        >>> [one.name for one in plan_students({"bert.encoder.layer": 6}, CompressOptions())]
        ['layers-0-2-4', 'layers-0-3']
    """
    main = next(name for name in stacks if not is_decoder(name))
    total = stacks[main]
    choices = [_indices(one, total) for one in options.layers] or _default_choices(total)
    students = []
    for kept in dict.fromkeys(map(tuple, choices)):
        layers = {
            name: kept if name == main else tuple(spaced_layers(count, ceil(count * len(kept) / total)))
            for name, count in stacks.items()
        }
        students += [StudentPlan(layers, width) for width in options.feed_forward]
    return students


def _default_choices(total: int) -> list[list[int]]:
    """Return a half and a third of the layers."""
    counts = {max(1, round(total / 2)), max(1, round(total / 3))}
    return [spaced_layers(total, count) for count in sorted(counts, reverse=True)]


def _indices(given: str, total: int) -> list[int]:
    """Read a number of layers, or their indices with `-` between them."""
    parts = given.strip().split("-")
    if not all(part.isdigit() for part in parts):
        raise InvalidSpecError(f"--layers has {given!r}; write a number of layers, or indices such as 0-2-4")
    numbers = [int(part) for part in parts]
    if len(numbers) == 1 and numbers[0] > 0:
        if numbers[0] > total:
            raise InvalidSpecError(f"--layers has {given!r}, but the model has {total} layers")
        return spaced_layers(total, numbers[0])
    if sorted({*numbers}) != numbers or numbers[-1] >= total:
        raise InvalidSpecError(
            f"--layers has {given!r}; expected indices from 0 to {total - 1} in ascending order, such as 0-2-4"
        )
    return numbers


def plan_variants(options: CompressOptions, *, exportable: bool) -> list[Variant]:
    """Return the backends and precisions in which every student is measured.

    Args:
        options: what the user states.
        exportable: whether models of the task can be exported; otherwise PyTorch runs them.

    Raises:
        InvalidSpecError: a backend does not exist, or has no such precision.
        MissingExtraError: a stated backend is not installed.
    """
    if not exportable:
        return [Variant(REFERENCE, "float32")]
    if not options.backends:
        return [one for name in _installed(options.dtypes) for one in _variants_of(name, options)]
    return [one for name in options.backends for one in _variants_of(name, options)]


def _installed(dtypes: Sequence[str]) -> list[str]:
    """Return the backends of exported models that are installed, with all that exporting needs."""
    return [
        one.name
        for one in all_backends()
        if one.exported is not None
        and one.exporter is not None
        and one.is_installed()
        and all(is_installed(needed) for dtype, needed in find_exporter(one).packages.items() if dtype in dtypes)
    ]


def _variants_of(name: str, options: CompressOptions) -> list[Variant]:
    descriptor = find_backend(name)
    descriptor.require()
    if descriptor.exported is None:
        return [Variant(name, "float32")]
    exporter = find_exporter(descriptor)
    exporter.require(options.dtypes)
    found: list[Variant] = []
    for dtype in options.dtypes:
        descriptor.check_precision(dtype)
        modes = [one for one in options.int8_modes or exporter.int8_modes if one in exporter.int8_modes]
        found += [Variant(name, dtype, mode) for mode in modes] if dtype == "int8" else [Variant(name, dtype)]
    return found
