"""What a backend is: tensors in, tensors out. It knows no Document."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """Runs a model."""

    @property
    def name(self) -> str:
        """What it is called in golden records, such as `torch`."""

    @property
    def dtype(self) -> str:
        """The precision it computes in, such as `float32`."""

    @property
    def runs_on(self) -> str:
        """What computes: the device by its name, and the library with its version."""

    @property
    def token_budget(self) -> int:
        """How many tokens, padding included, make a batch that runs fast on this kind of device."""

    @property
    def threads(self) -> int:
        """Threads of the CPU that it computes on; 1 where another device computes."""

    def use_threads(self, count: int) -> None:
        """Compute on so many threads from now on, where the calling thread calls `forward`."""

    def forward(self, batch: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[Any]]:
        """Run one batch; it may be called from several threads at a time.

        Args:
            batch: the model's inputs, each `[rows, tokens]`.

        Returns:
            The model's outputs, each `[rows, ...]`, in single precision.
        """
