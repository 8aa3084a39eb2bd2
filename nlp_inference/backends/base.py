"""The backend protocol: tensors in, tensors out, independent of Document."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """Runs a model."""

    @property
    def name(self) -> str:
        """The name in golden records, such as `torch`."""

    @property
    def dtype(self) -> str:
        """The precision of the computation, such as `float32`."""

    @property
    def runs_on(self) -> str:
        """The name of the device, and the library with its version."""

    @property
    def token_budget(self) -> int:
        """The number of tokens, including padding, of a batch that runs fast on this kind of device."""

    @property
    def threads(self) -> int:
        """The number of CPU threads of the computation; 1 if it runs on another device."""

    def use_threads(self, count: int) -> None:
        """Set the number of CPU threads of the `forward` calls that the calling thread makes."""

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch. Several threads may call this at the same time.

        Args:
            batch: the model's inputs, each `[rows, tokens]`.

        Returns:
            The model's outputs, each `[rows, ...]`, in single precision.
        """
