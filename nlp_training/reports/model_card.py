"""The model card that is saved with a model."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from nlp_inference import Processor
from nlp_training.config import RunConfig
from nlp_training.reports.lost_spans import DataReport

_BODY = """
# {name}

`{task}` with {count} labels: {labels}.

Trained from `{base}` with nlp-inference. The text is cleaned, cut and decoded by the processor that is saved here, the
same that the scores below were measured with.

```python
from nlp_inference import Predictor

predictor = Predictor.from_pretrained("{name}")  # the folder or the Hub id
document = predictor.predict(["..."])[0]
print(document.predicted)
```

## Scores

{scores}
{lost}
How it was trained stands in `training.yaml`, every score in `metrics.json`, and what the data held in
`data_report.json`.
"""
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def model_card(
    config: RunConfig, processor: Processor, metrics: Mapping[str, Mapping[str, Any]], report: DataReport
) -> str:
    """Write a short model card, with the metadata that the Hub reads.

    Args:
        config: the run.
        processor: what is saved with the model.
        metrics: scores by data set.
        report: what each data set held, and which gold spans no model could give back.
    """
    task = processor.task
    labels = getattr(task, "labels", ())
    data = ModelCardData(
        library_name="nlp-inference",
        pipeline_tag=task.pipeline_tag,
        base_model=_hub_id(config.model.base),
        tags=["nlp-inference", task.name],
    )
    body = _BODY.format(
        name=config.name,
        task=task.name,
        count=len(labels),
        labels=", ".join(f"`{label}`" for label in labels[:100]),
        base=config.model.base,
        scores=_table(metrics),
        lost=_lost(report),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n{body}"))


def _hub_id(base: str) -> str | None:
    """A base that is a folder of this machine, or inside a package, means nothing to the Hub."""
    return base if _HUB_ID.fullmatch(base) and not Path(base).exists() else None


def _lost(report: DataReport) -> str:
    lines = [
        f"{len(split.lost)} of {split.spans} gold spans of `{name}` cannot be given back exactly by any model of this "
        "task."
        for name, split in report.items()
        if split.lost
    ]
    return "".join(f"\n{line}\n" for line in lines)


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if not metrics:
        return "Not evaluated: the run had neither validation nor test data."
    scores_of_all = [item for scores in metrics.values() for item in scores.items()]
    names = list(dict.fromkeys(name for name, value in scores_of_all if isinstance(value, float)))
    header = f"| data | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}\n"
    rows = [
        f"| {data} | {' | '.join(f'{scores[name]:.4f}' if name in scores else '' for name in names)} |"
        for data, scores in metrics.items()
    ]
    return header + "\n".join(rows)
