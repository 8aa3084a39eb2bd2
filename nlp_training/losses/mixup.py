"""Mixup: interpolation of the embeddings and the losses of two texts."""

from collections.abc import Callable, Mapping
from inspect import signature
from random import Random
from typing import Annotated, ClassVar, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from nlp_inference.errors import InvalidSpecError
from nlp_training.losses.base import AddedLoss, ClassLoss, Items, Loss, Mixing
from nlp_training.losses.cross_entropy import CrossEntropy


class Mixup(AddedLoss):
    """`share L(x, y_i) + (1 - share) L(x, y_j)` for a row `x = share x_i + (1 - share) x_j` of mixed embeddings.

    Zhang et al. (2018), https://arxiv.org/abs/1710.09412; the word embeddings of two rows are mixed position by
    position, as by Guo et al. (2019), https://arxiv.org/abs/1905.08941: where a row has no token, its embedding is
    zero, and the model attends to every position where one of the rows has a token. `j` is a random permutation of the
    rows of the batch, `share` is drawn from Beta(alpha, alpha) for the complete batch, and the larger part belongs to
    the row itself. `L` is the loss to mix; for cross entropy, the result is the loss of soft targets. Every target has
    the same weight as without mixup, with its own sample weight. The draw depends on step, seed and process, so a
    resumed run mixes the same rows.

    When to use: text classification with few documents per class, or with an overconfident classifier. It also works
    on tags, where the tokens of both rows at a position are mixed with their tags; Chen et al. (2020),
    https://aclanthology.org/2020.emnlp-main.95/, find random partners of little use there. Rows are mixed only within
    a batch; similar lengths work best.

    Args:
        alpha: the parameter of the Beta distribution; towards 0, almost nothing is mixed; with 1, the share is uniform.
        probability: the probability that a batch is mixed.
        loss: the loss that is computed for the targets of both rows; it may only read logits.

    Example:
        >>> Loss.from_spec({"mixup": {"alpha": 0.4, "loss": {"focal": 1}}}).to_spec()
        {'mixup': {'alpha': 0.4, 'loss': {'focal': 1.0}}}
    """

    name = "mixup"
    outermost: ClassVar[bool] = True
    reads_embeddings: ClassVar[bool] = True

    alpha: Annotated[float, Field(gt=0)] = 0.2
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    loss: ClassLoss = CrossEntropy()

    @model_validator(mode="after")
    def _check_needs(self) -> Self:
        for part in self.loss.parts():
            if part.needs:
                raise ValueError(
                    f"{part.name!r} reads {', '.join(sorted(part.needs))}, which mixed rows do not have; "
                    "choose a loss that only reads logits, such as focal"
                )
        return self

    def row_mixer(self, model: torch.nn.Module, *, seed: str, step: Callable[[], int]) -> "Mixer":
        """Return the mixer, which draws rows from the seed and the step."""
        return Mixer(self, model=model, seed=seed, step=step)

    def inner(self) -> Loss:
        """Return the loss that is computed for the targets of both rows."""
        return self.loss

    def values(self, items: Items) -> Tensor:
        """Return `[items]`, for the targets of one of the two rows."""
        return self.loss.values(items)


class Mixer:
    """A mixer of the rows of batches.

    Args:
        loss: the settings.
        model: the model to train, which embeds the tokens.
        seed: the seed, which differs between processes.
        step: returns the number of completed steps. The batches of a step with gradient accumulation are distinguished
            by their index.

    Raises:
        InvalidSpecError: the model does not accept embeddings.
    """

    def __init__(self, loss: Mixup, *, model: torch.nn.Module, seed: str, step: Callable[[], int]) -> None:
        if "inputs_embeds" not in signature(model.forward).parameters or not hasattr(model, "get_input_embeddings"):
            raise InvalidSpecError(
                f"the loss 'mixup' mixes embeddings, but {type(model).__name__} does not accept inputs_embeds; "
                "remove mixup, or train a transformers model that does"
            )
        self.loss = loss
        self.model = model
        self.seed = seed
        self.step = step
        self._batch = (-1, 0)  # the step, and the index of the batch in the step

    def draw(self, rows: int) -> Mixing | None:
        """Draw how to mix the next batch of `rows` rows; `None` if it is not mixed."""
        step = self.step()
        self._batch = (step, self._batch[1] + 1 if step == self._batch[0] else 0)
        rng = Random(f"{self.seed}:{step}:{self._batch[1]}:mixup")  # noqa: S311 - no secret
        if rng.random() >= self.loss.probability:
            return None
        share = rng.betavariate(self.loss.alpha, self.loss.alpha)
        return Mixing(max(share, 1 - share), rng.sample(range(rows), rows))

    def mixed(self, inputs: Mapping[str, Tensor], mixing: Mixing) -> dict[str, Tensor]:
        """Return the model inputs: `inputs_embeds` `[rows, tokens, hidden]` instead of `input_ids`.

        `attention_mask` covers the positions of both rows, unless the share of the partner is 0. Other inputs, such as
        token types, are those of the row, or of the partner where the row has no token.

        Args:
            inputs: the inputs of the original rows, each `[rows, tokens]`.
            mixing: the rows to mix, and their weights.
        """
        mask = inputs["attention_mask"]
        partner_mask = mask[mixing.partners] if mixing.share < 1 else torch.zeros_like(mask)
        embedded = self.model.get_input_embeddings()(inputs["input_ids"])  # type: ignore[operator]  # a module's attribute
        embedded = embedded * mask[..., None].to(embedded.dtype)
        others = {
            name: torch.where(mask > 0, tensor, torch.where(partner_mask > 0, tensor[mixing.partners], tensor))
            for name, tensor in inputs.items()
            if name not in {"input_ids", "attention_mask"}
        }
        return {
            "inputs_embeds": mixing.share * embedded + (1 - mixing.share) * embedded[mixing.partners],
            "attention_mask": torch.maximum(mask, partner_mask),
            **others,
        }
