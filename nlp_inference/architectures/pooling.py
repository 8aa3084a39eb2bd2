"""Pooling of the hidden states of a text: one vector for the head that classifies the text."""

import torch
from torch import Tensor, nn
from transformers import initialization as init

from nlp_inference.errors import ArtefactError


def mean_of_tokens(values: Tensor, attention_mask: Tensor | None) -> Tensor:
    """Return `[rows, ...]`, the mean of `[rows, tokens, ...]` over the tokens that are not padding.

    Example:
        >>> mean_of_tokens(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]))
        tensor([[2.]])
    """
    if attention_mask is None:
        return values.mean(dim=1)
    mask = attention_mask[..., None].to(values.dtype)
    return (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


class Pooling(nn.Module):
    """Hidden states `[rows, tokens, hidden]` and their mask `[rows, tokens]` in, `[rows, hidden]` out.

    Args:
        hidden_size: of the encoder.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return one vector per row. A row has at least one token that is not padding."""
        raise NotImplementedError


class FirstToken(Pooling):
    """The first token, such as `[CLS]`."""

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:  # noqa: ARG002 - padding is not read
        """Return the state of the first token."""
        return states[:, 0]


class MeanPooling(Pooling):
    """The mean over all tokens (Reimers and Gurevych, 2019, https://arxiv.org/abs/1908.10084)."""

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return the mean over the tokens that are not padding."""
        return mean_of_tokens(states, mask)


class MaxPooling(Pooling):
    """The maximum over all tokens, feature by feature."""

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return the maximum over the tokens that are not padding."""
        if mask is not None:
            states = states.masked_fill(mask[..., None] == 0, torch.finfo(states.dtype).min)
        return states.amax(dim=1)


class AttentionPooling(Pooling):
    """The mean of the tokens with learned weights `softmax(w · state)`, which start equal.

    Lin et al. (2017), https://arxiv.org/abs/1703.03130, with one linear layer and one row of weights.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size)
        self.score = nn.Linear(hidden_size, 1, bias=False)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weighted mean over the tokens that are not padding."""
        scores: Tensor = self.score(states).squeeze(-1)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
        return (scores.softmax(dim=1)[..., None] * states).sum(dim=1)


def start_equal(module: nn.Module) -> None:
    """Set the weights of an `AttentionPooling` so that all tokens count equally; other modules are unchanged."""
    if isinstance(module, AttentionPooling):
        init.zeros_(module.score.weight)


POOLINGS: dict[str, type[Pooling]] = {
    "first": FirstToken,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}
"""The poolings by the names in `config.text_pooling`."""


def make_pooling(name: str, *, hidden_size: int) -> Pooling:
    """Return a new pooling.

    Args:
        name: a key of `POOLINGS`.
        hidden_size: of the encoder.

    Raises:
        ArtefactError: there is no such pooling.

    Example:
        >>> states, mask = torch.tensor([[[1.0, 5.0], [3.0, 4.0], [9.0, 9.0]]]), torch.tensor([[1, 1, 0]])
        >>> {name: make_pooling(name, hidden_size=2)(states, mask).tolist() for name in ("first", "mean", "max")}
        {'first': [[1.0, 5.0]], 'mean': [[2.0, 4.5]], 'max': [[3.0, 5.0]]}
    """
    if name not in POOLINGS:
        raise ArtefactError(f"config.json has text_pooling {name!r}; expected {', '.join(POOLINGS)}")
    return POOLINGS[name](hidden_size)
