"""Sharded weights: validation, and the configuration of accelerate."""

import os

from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel, TrainingArguments
from transformers.training_args import ParallelMode

from nlp_inference.errors import InvalidSpecError
from nlp_training.losses import Loss
from nlp_training.trainer.adapters import has_adapter


def check_sharding(args: TrainingArguments) -> None:
    """Raise an error for sharding that does not support evaluation and saving.

    Raises:
        InvalidSpecError: DeepSpeed ZeRO-3, or FSDP with a single process.
    """
    deepspeed = args.deepspeed_plugin
    if deepspeed is not None and deepspeed.zero_stage == 3:
        raise InvalidSpecError(
            "DeepSpeed ZeRO-3 would shard the weights among the processes, but evaluation and saving need complete "
            "weights; train with FSDP (configs/accelerate/fsdp.yaml), or with ZeRO-1 or -2"
        )
    if args.fsdp and args.parallel_mode != ParallelMode.DISTRIBUTED:
        raise InvalidSpecError(
            f"training.fsdp is {args.fsdp!r}, but there is only one training process; remove it, or start several: "
            "accelerate launch --config_file configs/accelerate/fsdp.yaml"
        )


def prepare_fsdp(
    args: TrainingArguments, accelerator: Accelerator, model: nn.Module, *, averages_weights: bool = False
) -> None:
    """Set the layers to shard, and check that accelerate applies FSDP and that its weights can be gathered.

    Args:
        args: the training arguments.
        accelerator: the accelerator for these arguments and the launcher's configuration.
        model: the model to train.
        averages_weights: whether another model than the trained one is evaluated and saved.

    Raises:
        InvalidSpecError: FSDP is requested, but accelerate shards nothing, FSDP has version 1, or the model has an
            adapter or a weight average, which cannot be gathered.
    """
    requested = bool(args.fsdp) or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in {"1", "true", "yes"}
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if requested and plugin is None:
        raise InvalidSpecError(
            "FSDP is requested, but accelerate shards weights only among several accelerators: "
            f"each of {args.world_size} process(es) on {args.device.type!r} would hold all weights; remove FSDP, for "
            "example with: accelerate launch --config_file configs/accelerate/ddp_cpu.yaml"
        )
    if plugin is not None and plugin.fsdp_version != 2:
        raise InvalidSpecError(
            f"fsdp_version is {plugin.fsdp_version!r}, but evaluation can only gather the weights of version 2; set "
            "fsdp_version: 2, as in configs/accelerate/fsdp.yaml"
        )
    if plugin is not None and (averages_weights or has_adapter(model)):
        raise InvalidSpecError(
            f"{'ema' if averages_weights else 'model.adapter'} is set, but FSDP gives each process only a shard of the "
            "weights; remove one of the two, or train with configs/accelerate/ddp.yaml"
        )
    if plugin is not None and plugin.transformer_cls_names_to_wrap is None:
        plugin.transformer_cls_names_to_wrap = layers_to_shard(model)


def check_sharded_loss(loss: Loss) -> None:
    """Raise an error for a loss that calls the embedding layer directly, because FSDP gathers weights in `forward`.

    Raises:
        InvalidSpecError: the loss reads embeddings.

    Example:
        >>> check_sharded_loss(Loss.from_spec("mixup"))
        Traceback (most recent call last):
        nlp_inference.errors.InvalidSpecError: the loss 'mixup' reads the word embeddings directly, but FSDP ...
    """
    part = next((part for part in loss.parts() if part.reads_embeddings), None)
    if part is not None:
        raise InvalidSpecError(
            f"the loss {part.name!r} reads the word embeddings directly, but FSDP gives each process only a shard of "
            "them; remove one of the two, or train with configs/accelerate/ddp.yaml"
        )


def layers_to_shard(model: nn.Module) -> list[str]:
    """Return the classes of a model's layers, which are gathered one by one in a step.

    These are the classes that a transformers model names, except modules with the input embedding: accelerate 1.15
    shards that one separately, and fails if it is already sharded.

    Example:
        >>> from transformers import BertConfig, BertModel
        >>> config = BertConfig(hidden_size=2, num_attention_heads=1, num_hidden_layers=1, intermediate_size=2)
        >>> layers_to_shard(BertModel(config))
        ['BertLayer']
    """
    named = set(getattr(model, "_no_split_modules", None) or ())
    embedding = model.get_input_embeddings() if isinstance(model, PreTrainedModel) else None
    found = {
        type(module).__name__
        for module in model.modules()
        if type(module).__name__ in named and not any(one is embedding for one in module.modules())
    }
    return sorted(found)
