"""Windows of long texts: splitting a text, and combining the outputs of its windows."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from nlp_inference.errors import InvalidSpecError


class WindowSettings(BaseModel):
    """How to split a text that is longer than the model's maximum length.

    Args:
        max_length: tokens of a window, special tokens included; `None` uses the limit of the tokenizer.
        overlap: the minimum number of tokens that consecutive windows share, at most half a window; `None` means a
            quarter of a window, but at most 64 tokens.
        on_overflow: `split` reads everything; `truncate` reads only the first window, which the coverage reports.
        pair_split: which text of a pair is split if both together are too long: the `text`, the `text_pair`, or `both`,
            of which the longer one gets what the shorter one leaves of a row. A text that is not split is complete in
            every row, and an error if it leaves no room for the other one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_length: Annotated[int, Field(gt=0)] | None = None
    overlap: Annotated[int, Field(ge=0)] | None = None
    on_overflow: Literal["split", "truncate"] = "split"
    pair_split: Literal["text", "text_pair", "both"] = "text"

    @model_serializer(mode="wrap")
    def _without_default_of_pairs(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Keep what earlier versions wrote byte for byte: they do not know the field."""
        fields: dict[str, Any] = handler(self)
        if self.pair_split == "text":
            fields.pop("pair_split", None)
        return fields

    def overlap_within(self, capacity: int) -> int:
        """Return the number of tokens that consecutive windows of `capacity` tokens share."""
        return min(64, capacity // 4) if self.overlap is None else self.overlap


class Window(NamedTuple):
    """A range of tokens that the model reads together.

    The window covers the tokens `start:end`. Predictions for the tokens `owned_start:owned_end` come from this window.
    """

    start: int
    end: int
    owned_start: int
    owned_end: int


def split_windows(length: int, word_starts: Sequence[int], *, capacity: int, overlap: int) -> list[Window]:
    """Split `length` tokens into windows of at most `capacity` tokens, at the starts of words where possible.

    The owned tokens of the windows partition the text: a token in two windows belongs to the one in which it is
    farther from the edge, rounded to the start of a word.

    Args:
        length: number of tokens in the text.
        word_starts: positions of the tokens that start a word, in order.
        capacity: tokens that fit in one window in addition to the special tokens.
        overlap: tokens that consecutive windows share; at most `capacity // 2`.

    Raises:
        InvalidSpecError: `capacity` is less than 1, or `overlap` is more than half of it.

    Example:
        >>> split_windows(10, range(10), capacity=6, overlap=2)
        [Window(start=0, end=6, owned_start=0, owned_end=5), Window(start=4, end=10, owned_start=5, owned_end=10)]
    """
    if capacity < 1 or overlap > capacity // 2:
        raise InvalidSpecError(
            f"a window has room for {capacity} tokens, but the overlap is {overlap}; expected at most half of the "
            "window: increase windows.max_length or decrease windows.overlap"
        )
    if length <= capacity:
        return [Window(0, length, 0, length)]
    bounds = [(0, capacity)]
    while bounds[-1][1] < length:
        start, end = _cut(bounds[-1][0], word_starts, capacity=capacity, overlap=overlap)
        bounds[-1] = (bounds[-1][0], end)
        bounds.append((start, min(start + capacity, length)))
    cuts = [0]
    for (_, end), (next_start, _) in pairwise(bounds):
        cuts.append(_nearest_word_start((next_start + end + 1) // 2, word_starts, low=next_start, high=end))
    cuts.append(length)
    return [Window(*bound, *owned) for bound, owned in zip(bounds, pairwise(cuts), strict=True)]


def _cut(start: int, word_starts: Sequence[int], *, capacity: int, overlap: int) -> tuple[int, int]:
    """Return the end of the window that begins at `start`, and the start of the next window."""
    end = _word_start_before(start + capacity, word_starts)
    if end <= start + overlap:  # a word longer than the window
        end = start + capacity
    next_start = _word_start_before(end - overlap, word_starts)
    if next_start <= start or end - next_start > capacity // 2:
        next_start = end - overlap
    return next_start, end


def _word_start_before(position: int, word_starts: Sequence[int]) -> int:
    index = bisect_right(word_starts, position) - 1
    return int(word_starts[index]) if index >= 0 else 0


def _nearest_word_start(position: int, word_starts: Sequence[int], *, low: int, high: int) -> int:
    index = bisect_right(word_starts, position)
    candidates = [int(start) for start in word_starts[max(0, index - 1) : index + 1] if low <= start <= high]
    return min(candidates, key=lambda start: abs(start - position), default=position)


def stitch(windows: Sequence[Window], outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join the outputs of windows; the output of each token comes from the window that owns it.

    Args:
        windows: the windows of one text.
        outputs: for each window, an array `[end - start, ...]`, one entry per token.

    Returns:
        An array `[tokens, ...]`.
    """
    if len(windows) == 1:
        return outputs[0]
    return np.concatenate(
        [
            output[window.owned_start - window.start : window.owned_end - window.start]
            for window, output in zip(windows, outputs, strict=True)
        ]
    )


Pooling = Literal["mean", "max", "first"]
"""How the outputs of windows are combined into those of the text.

`mean` weights each window by the number of tokens that it owns, `max` uses the maximum of each output, and `first` uses
the outputs of the first window.
"""


def pool(
    windows: Sequence[Window],
    outputs: Sequence[NDArray[np.float32]],
    *,
    pooling: Pooling,
    weights: Sequence[int] | None = None,
) -> NDArray[np.float32]:
    """Combine one output array per window into that of the text.

    Args:
        windows: the windows of one text.
        outputs: for each window, an array; all have the same shape.
        pooling: see `Pooling`.
        weights: of the windows in a mean; `None` means the number of tokens that each owns.

    Returns:
        An array of the shape of one window's outputs.

    Example:
        >>> windows = [Window(0, 6, 0, 5), Window(4, 10, 5, 10)]
        >>> pool(windows, [np.float32([1, 0]), np.float32([0, 1])], pooling="mean").tolist()
        [0.5, 0.5]
    """
    if len(outputs) == 1 or pooling == "first":
        return outputs[0]
    stacked = np.stack(outputs)
    if pooling == "max":
        greatest: NDArray[np.float32] = stacked.max(axis=0)
        return greatest
    owned = [window.owned_end - window.owned_start for window in windows] if weights is None else weights
    mean: NDArray[np.float32] = np.average(stacked, axis=0, weights=owned).astype(np.float32)
    return mean


def central_window(windows: Sequence[Window], first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the window in which each range of tokens is farthest from an edge; for ties, the first.

    Args:
        windows: the windows of one text.
        first: `[ranges]`, the first token of each range.
        last: `[ranges]`, the last token of each range.

    Returns:
        `[ranges]`, indices of windows.

    Example:
        >>> windows = [Window(0, 6, 0, 5), Window(4, 10, 5, 10)]
        >>> central_window(windows, np.array([4, 5]), np.array([4, 6])).tolist()
        [0, 1]
    """
    begins, ends = (np.array(edge)[:, None] for edge in zip(*((one.start, one.end) for one in windows), strict=True))
    central: NDArray[np.int64] = np.minimum(first - begins, ends - 1 - last).argmax(axis=0)
    return central
