"""Windows of text pairs: which of the two texts is split, and in which order a row contains them."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_inference.encoding.windows import Window, WindowSettings, split_windows


class PairWindow(NamedTuple):
    """The range of tokens of the text pair that one input row contains.

    The row contains the tokens `start:end`, and owns `owned_start:owned_end`; see `Window`. If `is_swapped`, the two
    texts are in the other order than the task gives them.
    """

    start: int
    end: int
    owned_start: int
    owned_end: int
    is_swapped: bool = False


class PairRooms(NamedTuple):
    """The number of tokens of each text that fit into one row."""

    text: int
    pair: int


def pair_rooms(text: int, pair: int, *, room: int, settings: WindowSettings) -> PairRooms:
    """Divide the tokens of a row among the two texts.

    If both texts are split, each gets half of the row, and what one does not need the other gets. The order of the two
    texts then makes no difference.

    Args:
        text: number of tokens of the text.
        pair: number of tokens of the text pair.
        room: number of tokens that fit into a row in addition to the special tokens.
        settings: which text is split.

    Example:
        >>> both = WindowSettings(pair_split="both")
        >>> pair_rooms(100, 100, room=61, settings=both), pair_rooms(100, 10, room=61, settings=both)
        (PairRooms(text=30, pair=30), PairRooms(text=51, pair=30))
    """
    if settings.pair_split == "text":
        return PairRooms(room - pair, pair)
    if settings.pair_split == "text_pair":
        return PairRooms(text, room - text)
    return PairRooms(max(room - pair, room // 2), max(room - text, room // 2))


def split_pair(
    texts: tuple[int, Sequence[int]],
    pairs: tuple[int, Sequence[int]],
    *,
    rooms: PairRooms,
    settings: WindowSettings,
    both_orders: bool,
) -> tuple[tuple[Window, ...], tuple[PairWindow, ...]]:
    """Return the ranges of both texts for each row: every window of the text with every window of the text pair.

    Args:
        texts: number of tokens of the text, and the positions of those that start a word.
        pairs: the same for the text pair.
        rooms: see `pair_rooms`.
        settings: overlap and overflow.
        both_orders: whether the rows follow once more, with the two texts swapped.

    Example:
        >>> settings = WindowSettings(pair_split="text_pair", overlap=0)
        >>> windows, of_pair = split_pair((2, [0, 1]), (4, [0, 1, 2, 3]), rooms=PairRooms(2, 2), settings=settings,
        ...     both_orders=False)
        >>> [(window.start, window.end) for window in windows], [(window.start, window.end) for window in of_pair]
        ([(0, 2), (0, 2)], [(0, 2), (2, 4)])
    """
    found = [
        _split(*of_text, capacity=room, settings=settings) for of_text, room in zip((texts, pairs), rooms, strict=True)
    ]
    rows = list(product(*found))
    orders = (False, True) if both_orders else (False,)
    return (
        tuple(window for _ in orders for window, _ in rows),
        tuple(PairWindow(*window, is_swapped=swapped) for swapped in orders for _, window in rows),
    )


def _split(length: int, word_starts: Sequence[int], *, capacity: int, settings: WindowSettings) -> list[Window]:
    if length <= capacity:
        return [Window(0, length, 0, length)]
    windows = split_windows(length, word_starts, capacity=capacity, overlap=settings.overlap_within(capacity))
    return [windows[0]._replace(owned_end=windows[0].end)] if settings.on_overflow == "truncate" else windows


def mean_of_orders(
    outputs: Sequence[NDArray[np.float32]], pair_windows: Sequence[PairWindow]
) -> list[NDArray[np.float32]]:
    """Return the mean output of both orders for each window; the outputs themselves if there is only one order."""
    if not pair_windows[-1].is_swapped:
        return list(outputs)
    half = len(outputs) // 2
    return [((one + other) / 2).astype(one.dtype) for one, other in zip(outputs[:half], outputs[half:], strict=True)]


def row_weights(windows: Sequence[Window], pair_windows: Sequence[PairWindow]) -> list[int]:
    """Return the weight of each row in a mean: the product of the tokens of both texts that it owns."""
    return [
        max(1, window.owned_end - window.owned_start) * max(1, pair.owned_end - pair.owned_start)
        for window, pair in zip(windows, pair_windows, strict=True)
    ]
