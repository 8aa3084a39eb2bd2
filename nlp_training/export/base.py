"""The base class of exporters, which write the files of one backend from the weights of an artefact."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nlp_inference import Document, Predictor, Processor
from nlp_inference._utils.extras import require_installed
from nlp_inference._utils.named_objects import import_object
from nlp_inference.architectures.input_limits import ModelLimits
from nlp_inference.backends.descriptors import BackendDescriptor
from nlp_inference.backends.torch import load_model
from nlp_inference.errors import InvalidSpecError
from nlp_inference.predict.batching import token_budget_batches

Int8Mode = Literal["dynamic", "static"]
"""The source of the scales of 8-bit activations: each text (`dynamic`), or training documents (`static`)."""

CALIBRATION_DOCUMENTS = 256
"""The number of training documents for static scales of activations (`int8_mode="static"`)."""

_CALIBRATION_BUDGET = 1024


@dataclass(frozen=True, slots=True)
class ExportSource:
    """The inputs of an exporter.

    Args:
        folder: the folder of the artefact.
        predictor: a predictor with its weights.
        weights: the SHA-256 of the weight files, by name.
        train: the training documents, if the exporter needs them.
        trust_remote_code: whether code that was saved with the model may run.
    """

    folder: Path
    predictor: Predictor
    weights: Mapping[str, str]
    train: Sequence[Document] = ()
    trust_remote_code: bool = False

    @property
    def processor(self) -> Processor:
        """The processor, which makes the inputs of the model."""
        return self.predictor.processor

    @property
    def limits(self) -> ModelLimits | None:
        """The number of tokens and positions for which the model has embeddings."""
        return getattr(self.predictor.backend, "limits", None)

    @property
    def rows_apart(self) -> bool:
        """Whether every row must run alone: outputs depend on padding, or rows of a batch need as many ends of text."""
        backend = self.predictor.backend
        return bool(getattr(backend, "rows_apart", False)) or getattr(backend, "counted_token", None) is not None

    def model(self) -> torch.nn.Module:
        """Load a new copy of the model in float32, in evaluation mode."""
        processor = self.processor
        loaded: torch.nn.Module = load_model(
            self.folder,
            task=processor.task,
            fingerprint=processor.fingerprint,
            trust_remote_code=self.trust_remote_code,
        )
        return loaded

    def calibration_batches(self) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Yield batches of a sample of training documents, as a `Predictor` makes them; inputs are `[rows, tokens]`."""
        count = min(CALIBRATION_DOCUMENTS, len(self.train))
        drawn = Random(0).sample(list(self.train), count)  # noqa: S311 - a sample
        encoded = self.processor.encode([self.processor.task.as_input(document) for document in drawn])
        rows = [row for one in encoded for row in self.processor.rows(one)]
        for positions in token_budget_batches([len(row.input_ids) for row in rows], _CALIBRATION_BUDGET):
            yield dict(self.processor.collate([rows[position] for position in positions]))


class Exporter(ABC):
    """A writer of the files of one backend. The descriptor of the backend names the subclass in `exporter`.

    Args:
        source: the artefact to export.
        scratch: a folder for temporary files.
        int8_mode: one of `int8_modes`.
    """

    int8_modes: ClassVar[tuple[Int8Mode, ...]] = ()
    """The supported sources of the scales of 8-bit activations, the default first; empty without such scales."""

    packages: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """By precision, a package that only exporting needs; the extra that installs it has the same name."""

    def __init__(self, source: ExportSource, *, scratch: Path, int8_mode: Int8Mode | None) -> None:
        self.source = source
        self.scratch = scratch
        self.int8_mode = int8_mode

    @abstractmethod
    def write(self, dtype: str, paths: Sequence[Path]) -> None:
        """Write the files of one precision into an existing folder.

        Args:
            dtype: the precision, one of those that the descriptor names.
            paths: the files to write, in the order of the descriptor's `exported.suffixes`.

        Raises:
            ArtefactError: the model cannot be expressed in this format.
        """

    @classmethod
    def precisions_here(cls, descriptor: BackendDescriptor) -> tuple[str, ...]:
        """Return the default precisions: all that this machine can run."""
        return tuple(descriptor.exported.stems) if descriptor.exported is not None else ()

    @classmethod
    def require(cls, dtypes: Sequence[str]) -> None:
        """Check that the packages for these precisions are installed, in addition to those of the backend.

        Raises:
            MissingExtraError: a package is not installed.
        """
        for module in (cls.packages[dtype] for dtype in dtypes if dtype in cls.packages):
            require_installed((module,), extra=module)

    @classmethod
    def check_int8_mode(cls, mode: Int8Mode | None) -> Int8Mode | None:
        """Return the requested mode, or the default.

        Raises:
            InvalidSpecError: the exporter does not support the mode.
        """
        if mode is None:
            return next(iter(cls.int8_modes), None)
        if mode not in cls.int8_modes:
            raise InvalidSpecError(
                f"the int8 mode is {mode!r}, but this backend supports {', '.join(cls.int8_modes) or 'none'}"
            )
        return mode


def find_exporter(descriptor: BackendDescriptor) -> type[Exporter]:
    """Return the exporter that a descriptor names.

    Raises:
        InvalidSpecError: the backend has no exporter.
        MissingExtraError: a required package is not installed.

    Example:
        >>> from nlp_inference.backends.descriptors import find_backend
        >>> find_exporter(find_backend("onnx")).int8_modes
        ('dynamic', 'static')
    """
    if descriptor.exported is None or descriptor.exporter is None:
        raise InvalidSpecError(f"the backend {descriptor.name!r} runs the weights directly and needs no export")
    found = import_object(descriptor.exporter)
    if not (isinstance(found, type) and issubclass(found, Exporter)):
        raise InvalidSpecError(f"{descriptor.exporter!r} is not a subclass of Exporter")
    return found
