"""Splitting of a batch: into single rows for models whose outputs depend on padding, or into rows that fit together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlp_inference.encoding.input_rows import IGNORED

LEAST_TOKENS = 16
"""Minimum row length. Models that pool tokens fail on shorter rows; Funnel, for example, on rows of two tokens."""


def rows_without_padding(
    inputs: Mapping[str, NDArray[np.int64]], *, least: int = 1, pad_token_id: int = 0
) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Yield each row of a batch as a batch of one row that ends with its last token.

    Args:
        inputs: each `[rows, tokens]`.
        least: minimum number of tokens of a row; shorter rows are padded to this length.
        pad_token_id: padding value of `input_ids`; every other input is padded with zeros.

    Example:
        >>> batch = {"attention_mask": np.array([[1, 1, 0], [1, 1, 1]])}
        >>> [row["attention_mask"].tolist() for row in rows_without_padding(batch)]
        [[[1, 1]], [[1, 1, 1]]]
    """
    mask = inputs["attention_mask"] != 0
    lengths = mask.shape[1] - mask[:, ::-1].argmax(axis=1)
    for row, length in enumerate(lengths.tolist()):
        alone = {name: array[row : row + 1, :length] for name, array in inputs.items()}
        yield _padded(alone, least - length, pad_token_id=pad_token_id) if length < least else alone


def split_by_count(input_ids: NDArray[np.int64], token: int | None) -> list[NDArray[np.int64]]:
    """Return the positions of the rows that have the same number of a token, for each number.

    Args:
        input_ids: `[rows, tokens]`.
        token: the counted token; `None` puts all rows into one group.

    Example:
        >>> [rows.tolist() for rows in split_by_count(np.array([[7, 2], [2, 2], [2, 9]]), 2)]
        [[0, 2], [1]]
    """
    if token is None:
        return [np.arange(len(input_ids))]
    counts = (input_ids == token).sum(axis=1)
    return [np.flatnonzero(counts == count) for count in np.unique(counts)]


def merge_groups(
    groups: Sequence[NDArray[np.int64]], outputs: Sequence[Mapping[str, NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Combine the outputs of groups of rows, in the order of the batch; shapes differ only in the number of rows.

    Example:
        >>> groups = [np.array([0, 2]), np.array([1])]
        >>> merge_groups(groups, [{"logits": np.array([1, 3])}, {"logits": np.array([2])}])["logits"].tolist()
        [1, 2, 3]
    """
    order = np.argsort(np.concatenate(groups))
    return {name: np.concatenate([one[name] for one in outputs])[order] for name in outputs[0]}


def _padded(row: Mapping[str, NDArray[np.int64]], more: int, *, pad_token_id: int) -> dict[str, NDArray[np.int64]]:
    fill = {"input_ids": pad_token_id}
    return {name: np.pad(array, ((0, 0), (0, more)), constant_values=fill.get(name, 0)) for name, array in row.items()}


def stacked(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack arrays of one row each and pad the shorter ones: with zeros, or integers with `IGNORED`.

    Example:
        >>> stacked([np.array([[1.0]]), np.array([[2.0, 3.0]])]).tolist()
        [[1.0, 0.0], [2.0, 3.0]]
    """
    shape = np.max([array.shape for array in arrays], axis=0)
    fill = IGNORED if arrays[0].dtype.kind == "i" else 0
    result = np.full((len(arrays), *shape[1:]), fill, dtype=arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[tuple(map(slice, array.shape[1:]))] = array[0]
    return result


def stacked_outputs(outputs: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Combine the outputs of rows that ran alone into the outputs of one batch; see `stacked`."""
    return {name: stacked([one[name] for one in outputs]) for name in outputs[0]}
