"""The section `few_shot` of a configuration."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class FewShot(BaseModel):
    """How to train from 8 to 64 documents per label; see `nlp_training.trainer.few_shot`.

    Args:
        encoder: `contrastive` tunes the encoder, so that texts with a common label become similar, before the head is
            fitted; `frozen` fits only the head, in seconds.
        temperature: the divisor of the cosine similarities in the contrastive loss.
        l2: the weight of the squared weights of the head, `1 / C` of scikit-learn's `LogisticRegression`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: Literal["contrastive", "frozen"] = "contrastive"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    l2: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
