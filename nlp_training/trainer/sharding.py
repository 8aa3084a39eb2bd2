"""Weights in pieces among several processes: what is refused, and what accelerate is told of a model."""

import os

from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel, TrainingArguments
from transformers.training_args import ParallelMode

from nlp_inference.errors import InvalidSpecError
from nlp_training.losses import Loss


def check_sharding(args: TrainingArguments) -> None:
    """Refuse what could not be evaluated and saved, before a trainer is made.

    Raises:
        InvalidSpecError: DeepSpeed ZeRO-3, or FSDP in a process that trains alone.
    """
    deepspeed = args.deepspeed_plugin
    if deepspeed is not None and deepspeed.zero_stage == 3:
        raise InvalidSpecError(
            "DeepSpeed ZeRO-3 would shard the weights among the processes, and evaluation and saving need them whole; "
            "train with FSDP (configs/accelerate/fsdp.yaml), or with ZeRO-1 or -2"
        )
    if args.fsdp and args.parallel_mode != ParallelMode.DISTRIBUTED:
        raise InvalidSpecError(
            f"training.fsdp is {args.fsdp!r}, but one process trains, and has nobody to share the weights with; leave "
            "it out, or start several: accelerate launch --config_file configs/accelerate/fsdp.yaml"
        )


def prepare_fsdp(args: TrainingArguments, accelerator: Accelerator, model: nn.Module) -> None:
    """Name the layers to shard; refuse FSDP that is not as it was asked for, or whose weights cannot be gathered.

    Args:
        args: of the training.
        accelerator: what it made of them and of the launcher's configuration.
        model: to be trained.

    Raises:
        InvalidSpecError: accelerate shards nothing, though it was asked to, or it is the first version of FSDP.
    """
    asked = bool(args.fsdp) or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() in {"1", "true", "yes"}
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if asked and plugin is None:
        raise InvalidSpecError(
            "FSDP is asked for, but accelerate shards weights among several accelerators only: "
            f"{args.world_size} process(es) on {args.device.type!r} would hold all of them each; leave FSDP out, such "
            "as with: accelerate launch --config_file configs/accelerate/ddp_cpu.yaml"
        )
    if plugin is not None and plugin.fsdp_version != 2:
        raise InvalidSpecError(
            f"fsdp_version is {plugin.fsdp_version!r}, and evaluation gathers the weights of version 2; set "
            "fsdp_version: 2, as configs/accelerate/fsdp.yaml does"
        )
    if plugin is not None and plugin.transformer_cls_names_to_wrap is None:
        plugin.transformer_cls_names_to_wrap = layers_to_shard(model)


def check_sharded_loss(loss: Loss) -> None:
    """Refuse a loss that runs the embedding layer by itself: FSDP gathers weights for a complete forward pass only.

    Raises:
        InvalidSpecError: it reads embeddings.

    Example:
        >>> check_sharded_loss(Loss.from_spec("mixup"))
        Traceback (most recent call last):
        nlp_inference.errors.InvalidSpecError: the loss 'mixup' reads the word embeddings by themselves, and FSDP ...
    """
    part = next((part for part in loss.parts() if part.reads_embeddings), None)
    if part is not None:
        raise InvalidSpecError(
            f"the loss {part.name!r} reads the word embeddings by themselves, and FSDP gives each process only a "
            "shard of them; leave one of the two out, or train with configs/accelerate/ddp.yaml"
        )


def layers_to_shard(model: nn.Module) -> list[str]:
    """The classes of a model's layers, which are gathered one by one for a step.

    Those that a transformers model names, but for what holds the input embedding: accelerate 1.15 shards that one by
    itself afterwards, and fails if it was sharded before.

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
