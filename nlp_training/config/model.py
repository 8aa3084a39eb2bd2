"""The section `model` and those on how its weights are trained: `learning_rates`, `ema`, `distillation`, `few_shot`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, model_validator

from nlp_training.config.section import Section


class ModelConfig(Section):
    """The pretrained model to start from.

    Args:
        base: a Hub id, a folder, or `package:NAME/FOLDER` for a folder inside an installed Python package.
        revision: the branch, tag or commit on the Hub.
        architecture: the registered name of a custom model class, which replaces the default class of the task. See
            `nlp_inference.architectures.architecture`.
        pooling: how the head of a text reads the tokens: `first`, `mean`, `max` or `attention` (learned weights).
            `None` is the head of transformers for the family of the base model, usually on the first token, and `mean`
            for the heads of `multi-task`.
        settings: keys to set in the configuration of the model, such as `hidden_dropout_prob: 0.2`.
        training_attention: the attention implementation during training, such as `sdpa`. `None` means `eager` on a
            CPU, where the backward pass of fused attention is slow, and the default of the model on other devices.
            Evaluation always uses the default of the model, as production does.
        resize_embeddings: whether to add embeddings for tokens that the tokenizer has and the model lacks, such as
            those of `tokenizer.add_tokens`. If false, such a tokenizer raises an error.
        freeze: parameters that are not trained: patterns of names, such as `["*.embeddings.*"]`, or the number of the
            lowest layers, with the embeddings.
        reinitialize_layers: the number of the top layers that start with random weights.
        adapter: the type of an adapter of peft with its settings, such as `{lora: {r: 16}}`. Only the adapter and the
            head are trained, and the saved model has the adapter merged into its weights. See
            `nlp_training.trainer.adapters`.
    """

    base: str
    revision: str = "main"
    architecture: str | None = None
    pooling: Literal["first", "mean", "max", "attention"] | None = None
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    training_attention: str | None = None
    resize_embeddings: bool = False
    freeze: NonNegativeInt | list[str] = Field(default_factory=list)
    reinitialize_layers: NonNegativeInt = 0
    adapter: str | dict[str, Any] | None = None

    @model_validator(mode="after")
    def _adapts_trained_weights(self) -> Self:
        frozen = [name for name in ("reinitialize_layers", "resize_embeddings") if getattr(self, name)]
        if self.adapter is not None and frozen:
            raise ValueError(f"{frozen[0]} adds random weights, which an adapter keeps frozen; remove one of the two")
        return self

    @model_validator(mode="after")
    def _has_one_head(self) -> Self:
        if self.pooling is not None and self.architecture is not None:
            raise ValueError("architecture has its own pooling; remove pooling or architecture")
        return self


class LearningRates(Section):
    """Learning rates that differ from `training.learning_rate`. Every schedule scales all of them alike.

    Args:
        layer_decay: the factor from each layer of the encoder to the one below it; see
            `nlp_training.trainer.parameter_groups`.
        head: of the parameters above the encoder.
    """

    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    head: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class EmaSettings(Section):
    """How to average the weights: after each step, `average = d * average + (1 - d) * weights`.

    Args:
        decay: the largest `d`. The average covers about the last `1 / (1 - decay)` steps.
        warmup: whether `d` is at most `(1 + n) / (10 + n)` after `n` steps, so that a short training forgets its random
            head. This is the schedule of `tf.train.ExponentialMovingAverage`.

    Example:
        >>> EmaSettings(decay=0.99).at(0), EmaSettings(decay=0.99).at(10_000)
        (0.1, 0.99)
    """

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    warmup: bool = True

    def at(self, steps: int) -> float:
        """Return `d` after a number of steps."""
        return min(self.decay, (1 + steps) / (10 + steps)) if self.warmup else self.decay


class DistillationSettings(Section):
    """Learn the outputs, hidden states and attention of a teacher, in addition to gold, for models of every task.

    To the loss is added `outputs * e(outputs) + hidden_states * mean(e(states of a layer)) + attentions *
    mean(e(attention weights of a layer))`, where `e` is the squared difference from the teacher, divided by the
    teacher's variance, over all tokens of a batch. It is 0 for equal tensors, and 1 for a constant. See
    `nlp_training.trainer.teacher_term`.

    Args:
        teacher: a saved model of this library with the same task, labels and tokenizer: its folder, its Hub id, or
            `package:NAME/FOLDER`.
        revision: branch, tag or commit of a Hub id.
        dtype: the precision of the teacher; `bfloat16` is faster on processors that have it.
        outputs: the weight of the model outputs. For classes, the loss `distillation` compares probabilities instead.
        hidden_states: the weight of the hidden states; the teacher must have the same hidden size.
        attentions: the weight of the self-attention weights of an encoder; the teacher must have as many attention
            heads. The student then computes its attention step by step, which is slower.
        layers: for each layer of the encoder, the layer of the teacher whose states and attention it learns, counted
            from 0. `None` spaces them evenly, so that the last layer learns from the last one.

    Example:
        >>> DistillationSettings(teacher="runs/large/model").hidden_states
        1.0
    """

    teacher: Annotated[str, Field(min_length=1)]
    revision: str = "main"
    dtype: str = "float32"
    outputs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    hidden_states: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    attentions: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    layers: list[NonNegativeInt] | None = None


class FewShot(Section):
    """How to train from 8 to 64 documents per label; see `nlp_training.trainer.few_shot`.

    Args:
        encoder: `contrastive` tunes the encoder, so that texts with a common label become similar, before the head is
            fitted; `frozen` fits only the head, in seconds.
        temperature: the divisor of the cosine similarities in the contrastive loss.
        l2: the weight of the squared weights of the head, `1 / C` of scikit-learn's `LogisticRegression`.
    """

    encoder: Literal["contrastive", "frozen"] = "contrastive"
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    l2: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
