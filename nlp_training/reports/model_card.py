"""The model card that is saved with a model."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from nlp_inference import Processor
from nlp_training.config import RunConfig

_BODY = """
# {name}

`{task}` with {count} labels: {labels}.

Trained from `{base}` with nlp-inference. The text is cleaned, cut and decoded by the processor that is saved here, the
same that the scores below were measured with.

```python
from nlp_inference import Predictor

predictor = Predictor.from_pretrained("{name}")
document = predictor.predict(["..."])[0]
print(document.predicted)
```

## Scores

{scores}

How it was trained stands in `training.yaml`, every score in `metrics.json`.
"""


def model_card(config: RunConfig, processor: Processor, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a short model card, with the metadata that the Hub reads.

    Args:
        config: the run.
        processor: what is saved with the model.
        metrics: scores by data set.
    """
    task = processor.task
    labels = getattr(task, "labels", ())
    data = ModelCardData(
        library_name="nlp-inference",
        pipeline_tag=task.pipeline_tag,
        base_model=None if ":" in config.model.base else config.model.base,
        tags=["nlp-inference", task.name],
    )
    body = _BODY.format(
        name=config.name,
        task=task.name,
        count=len(labels),
        labels=", ".join(f"`{label}`" for label in labels[:100]),
        base=config.model.base,
        scores=_table(metrics),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n{body}"))


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if not metrics:
        return "Not evaluated: the run had neither validation nor test data."
    names = [name for name, value in next(iter(metrics.values())).items() if isinstance(value, float)]
    header = f"| data | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}\n"
    rows = [
        f"| {data} | {' | '.join(f'{scores[name]:.4f}' for name in names if name in scores)} |"
        for data, scores in metrics.items()
    ]
    return header + "\n".join(rows)
