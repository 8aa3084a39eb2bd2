"""Limits of the inputs of a model: the size of its vocabulary, its number of positions and of token types."""

from typing import NamedTuple

from nlp_inference.errors import ArtefactError


class ModelLimits(NamedTuple):
    """The limits of a model; `None` if there is no limit, or if it is unknown.

    Attributes:
        vocabulary: rows of its input embeddings, the fewer of encoder and decoder; token ids must be smaller.
        positions: greatest number of tokens of a row, including special tokens; the model fails on longer rows.
        trained_positions: number of tokens of a row for which it was trained; longer rows do not fail.
        token_types: rows of its token type embeddings; token types must be smaller.
        target_positions: greatest number of tokens of a text that it writes.

    Example:
        >>> ModelLimits(vocabulary=100, positions=512).usable
        512
    """

    vocabulary: int | None = None
    positions: int | None = None
    trained_positions: int | None = None
    token_types: int | None = None
    target_positions: int | None = None

    @property
    def usable(self) -> int | None:
        """The greatest recommended number of tokens of a row."""
        known = [one for one in (self.positions, self.trained_positions) if one is not None]
        return min(known, default=None)

    def pair_problem(self, token_types: int) -> str | None:
        """Describe why the model cannot read text pairs; return `None` if it can.

        Args:
            token_types: number of token types in the rows of text pairs; 0 if the rows have none.

        Example:
            >>> ModelLimits(token_types=1).pair_problem(2)
            'the tokenizer marks text pairs with 2 token types, but the model has embeddings for 1'
        """
        if self.token_types is None or token_types <= self.token_types:
            return None
        return (
            f"the tokenizer marks text pairs with {token_types} token types, but the model has embeddings for "
            f"{self.token_types}"
        )

    def problem(self, *, highest_id: int, max_length: int, max_new_tokens: int = 0) -> str | None:
        """Describe why the model cannot read the rows of a processor; return `None` if it can.

        Args:
            highest_id: the highest token id of the tokenizer.
            max_length: number of tokens of the longest row.
            max_new_tokens: number of tokens of the longest text that it writes; 0 if it writes none.

        Example:
            >>> ModelLimits(vocabulary=100, positions=512).problem(highest_id=99, max_length=514)
            'windows.max_length is 514, but the model has positions for 512 tokens; use at most 512'
        """
        if self.vocabulary is not None and highest_id >= self.vocabulary:
            return (
                f"the tokenizer has token ids up to {highest_id}, but the model has embeddings for {self.vocabulary} "
                f"tokens (ids up to {self.vocabulary - 1})"
            )
        if self.positions is not None and max_length > self.positions:
            return (
                f"windows.max_length is {max_length}, but the model has positions for {self.positions} tokens; use at "
                f"most {self.positions}"
            )
        if self.target_positions is not None and max_new_tokens > self.target_positions:
            return (
                f"max_new_tokens is {max_new_tokens}, but the model has positions for {self.target_positions} tokens; "
                f"use at most {self.target_positions}"
            )
        return None


def check_limits(limits: ModelLimits | None, *, highest_id: int, max_length: int, max_new_tokens: int = 0) -> None:
    """Check that a model can read the rows of a processor; see `ModelLimits.problem`.

    Raises:
        ArtefactError: the model would fail on the first text with such a token or of this length.
    """
    problem = (
        None
        if limits is None
        else limits.problem(highest_id=highest_id, max_length=max_length, max_new_tokens=max_new_tokens)
    )
    if problem is not None:
        raise ArtefactError(
            f"the processor does not fit the model: {problem}. Load a processor and a model that were saved together, "
            "change processor_config.json, or train again, with model.resize_embeddings: true if tokens were added"
        )
