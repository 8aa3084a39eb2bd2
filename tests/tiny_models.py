"""Models of a few thousand weights."""

from typing import TYPE_CHECKING

from nlp_inference import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LABELS = ("PERSON", "CITY")


def tiny_model(task: Task, vocab_size: int = 30522) -> "PreTrainedModel":
    """A BERT of one narrow layer, the same weights every time, with logits that differ clearly."""
    import torch
    from transformers import BertConfig

    from nlp_inference.backends.torch import model_class

    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        **task.model_settings(),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: PreTrainedModel = model_class(task).from_config(config)
        for name, weight in model.named_parameters():
            if name.startswith(("classifier.weight", "span_head.", "crf.")):
                torch.nn.init.normal_(weight, std=0.02 if name.startswith("crf.") else 1.0)
    return model.eval()
