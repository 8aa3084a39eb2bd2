"""Mixup: texts between texts, with the answers between theirs."""

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

    Zhang et al. (2018), https://arxiv.org/abs/1710.09412; the word embeddings of two rows are mixed place by place as
    by Guo et al. (2019), https://arxiv.org/abs/1905.08941: where a row has no token, its embedding is zero, and the
    model attends to every place where one of both has a token. `j` is a random order of the rows of the batch, `share`
    is drawn from Beta(alpha, alpha) for the whole batch, and the larger part is the row's own. `L` is the loss that
    this mixes; for cross entropy that is the one of soft targets. Every target counts as much as without mixup, with
    its own sample weight. Step, seed and process decide what is drawn, so a resumed run mixes what it would have mixed.

    When to use: few documents a class, or a classifier that is too certain, in text classification. Also on tags, where
    the tokens of both rows at a place are mixed with their tags; Chen et al. (2020),
    https://aclanthology.org/2020.emnlp-main.95/, find partners at random to be of little use there. Rows meet only
    within a batch, and mix best with those of like length.

    Args:
        alpha: of the Beta distribution; towards 0 hardly anything is mixed, at 1 every share is as likely.
        probability: the chance that a batch is mixed.
        loss: what is computed for both answers; one that reads logits only.

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
                    f"{part.name!r} reads {', '.join(sorted(part.needs))}, which mixed rows have not; "
                    "take a loss that reads logits only, such as focal"
                )
        return self

    def row_mixer(self, model: torch.nn.Module, *, seed: str, step: Callable[[], int]) -> "Mixer":
        """Mix the embeddings of rows that are drawn from the seed and the step."""
        return Mixer(self, model=model, seed=seed, step=step)

    def inner(self) -> Loss:
        """What is computed for both answers."""
        return self.loss

    def values(self, items: Items) -> Tensor:
        """`[items]`, for the answers of one of both rows."""
        return self.loss.values(items)


class Mixer:
    """Mixes the rows of batches.

    Args:
        loss: says how.
        model: what is trained, which embeds the tokens.
        seed: of what is drawn; another one in every process.
        step: says how many steps were trained. Further batches of a step, whose gradients are accumulated, are told
            apart by their number.

    Raises:
        InvalidSpecError: the model takes no embeddings.
    """

    def __init__(self, loss: Mixup, *, model: torch.nn.Module, seed: str, step: Callable[[], int]) -> None:
        if "inputs_embeds" not in signature(model.forward).parameters or not hasattr(model, "get_input_embeddings"):
            raise InvalidSpecError(
                f"the loss 'mixup' mixes embeddings, but {type(model).__name__} does not take them as inputs_embeds; "
                "leave mixup out, or train a model of transformers that does"
            )
        self.loss = loss
        self.model = model
        self.seed = seed
        self.step = step
        self._batch = (-1, 0)  # of which step, and which of it

    def draw(self, rows: int) -> Mixing | None:
        """How the next batch is mixed, which has so many rows; `None` if it is not."""
        step = self.step()
        self._batch = (step, self._batch[1] + 1 if step == self._batch[0] else 0)
        rng = Random(f"{self.seed}:{step}:{self._batch[1]}:mixup")  # noqa: S311 - no secret
        if rng.random() >= self.loss.probability:
            return None
        share = rng.betavariate(self.loss.alpha, self.loss.alpha)
        return Mixing(max(share, 1 - share), rng.sample(range(rows), rows))

    def mixed(self, inputs: Mapping[str, Tensor], mixing: Mixing) -> dict[str, Tensor]:
        """What the model is asked: `inputs_embeds` `[rows, tokens, hidden]` in the place of `input_ids`.

        `attention_mask` has the places of both rows, but for partners that have no share. What else there is at a
        place, such as the type of a token, is the row's own, or the partner's where the row has no token.

        Args:
            inputs: of the rows as they are, each `[rows, tokens]`.
            mixing: which rows, and how.
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
