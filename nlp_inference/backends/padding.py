"""Detection of models whose outputs depend on padding, which must run one row at a time."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nlp_inference._utils.foreign_errors import is_out_of_memory
from nlp_inference.backends.base import Backend
from nlp_inference.encoding.input_rows import InputLayout, Row
from nlp_inference.errors import ArtefactError

_CONTENT_TOKENS = (3, 12, 61)
"""Lengths of the probe rows. They differ, so that the shorter rows are padded."""

Arrays = Mapping[str, NDArray[Any]]


class PaddingWarning(UserWarning):
    """The outputs of a model depend on padding, so its rows run one at a time, which is slower."""


class _RunsRowsApart(Protocol):
    """A backend that can run the rows of a batch one at a time."""

    rows_apart: bool
    probe_tolerance: float | None
    pad_token_id: int


def check_padding(
    backend: Backend,
    layout: InputLayout,
    *,
    highest_id: int,
    special_ids: Collection[int] = (),
    with_pairs: bool = False,
) -> None:
    """Run some rows alone and as one batch; if the outputs differ, make the backend run each row of a batch alone.

    Families such as Funnel, FNet or ConvBERT mix padding into the outputs despite the attention mask. The check runs
    the model itself, so that it also covers classes that are unknown to this library. A backend is checked once. A
    backend that cannot run rows alone, or whose precision is too low for the comparison (half precision, 8 bits), is
    not checked.

    Args:
        backend: the backend of the model.
        layout: builds the rows.
        highest_id: the highest token id of the tokenizer.
        special_ids: ids that the rows do not contain, because some models fail on rows with other numbers of them.
        with_pairs: whether the model reads text pairs only.

    Raises:
        ArtefactError: the model fails on these rows.
    """
    if not hasattr(backend, "rows_apart"):
        return
    able: _RunsRowsApart = backend  # type: ignore[assignment]  # it has the attributes
    able.pad_token_id = layout.pad_token_id
    tolerance = able.probe_tolerance
    if tolerance is None or able.rows_apart:
        return
    able.probe_tolerance = None
    rows = _probe_rows(layout, highest_id=highest_id, special_ids=special_ids, with_pairs=with_pairs)
    try:
        run = getattr(backend, "probe", backend.forward)
        together = run(layout.pad(rows))
        alone = [run(layout.pad([row])) for row in rows]
    except Exception as error:
        if is_out_of_memory(error):
            return
        first_line = str(error).strip().partition("\n")[0][:300]
        raise ArtefactError(
            f"the model fails on rows of {', '.join(str(len(row.input_ids)) for row in rows)} tokens: "
            f"{type(error).__name__}: {first_line}; check that the tokenizer and the model belong together"
        ) from error
    able.rows_apart = any(
        _differ(one, {name: array[index] for name, array in together.items()}, tolerance)
        for index, one in enumerate(alone)
    )


def warn_of_padding(backend: Backend, *, source: str) -> None:
    """Warn that rows run one at a time if the outputs of the model depend on padding.

    Warns:
        PaddingWarning: the outputs depend on padding.
    """
    if getattr(backend, "padding_matters", False):
        warnings.warn(
            f"the outputs of the model {source!r} depend on the other rows of a batch, so its rows run one at a time: "
            "predictions are correct, but batches are no faster than single texts",
            PaddingWarning,
            stacklevel=3,
        )


def _probe_rows(layout: InputLayout, *, highest_id: int, special_ids: Collection[int], with_pairs: bool) -> list[Row]:
    """Return rows of random tokens, none longer than the model allows, with the highest id that is not special."""
    random = np.random.default_rng(0)
    pair_length = _CONTENT_TOKENS[0] if with_pairs else None
    capacity = max(layout.capacity(pair_length), 1)
    lengths = [length for length in _CONTENT_TOKENS if length < capacity] + [min(capacity, _CONTENT_TOKENS[-1] + 36)]
    contents = [random.integers(0, highest_id + 1, size=length) for length in lengths]
    plain = next((one for one in range(highest_id, -1, -1) if one not in special_ids), highest_id)
    contents = [np.where(np.isin(one, list(special_ids)), plain, one) for one in contents]
    contents[-1][0] = plain
    return [layout.row(one, None if pair_length is None else one[:1].repeat(pair_length)) for one in contents]


def _differ(alone: Arrays, batched: Arrays, tolerance: float) -> bool:
    for name, array in alone.items():
        one = array[0].astype(np.float64)
        other = batched[name][tuple(map(slice, one.shape))].astype(np.float64)
        if one.shape != other.shape or not np.allclose(one, other, rtol=0, atol=tolerance * np.abs(one).max(initial=0)):
            return True
    return False
