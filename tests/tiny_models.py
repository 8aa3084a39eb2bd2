"""Models of a few thousand weights."""

from typing import TYPE_CHECKING

from nlp_inference import Task

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LABELS = ("PERSON", "CITY")


def tiny_model(task: Task, vocab_size: int = 30522) -> "PreTrainedModel":
    """A BERT of one narrow layer, the same weights every time, with logits that differ clearly."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        **task.model_settings(),
    )
    classes = {"token-classification": BertForTokenClassification, "text-classification": BertForSequenceClassification}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = classes[task.name](config)
        torch.nn.init.normal_(model.classifier.weight, std=1.0)
    return model.eval()
