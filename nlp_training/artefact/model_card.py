"""The model card that is saved with a model."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from nlp_inference import Processor
from nlp_training._utils.base_model import is_packaged
from nlp_training.config import RunConfig
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import share_read
from nlp_training.reports.tables import fitted_notes, interval_text

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
{plain}
## Scores

{scores}
{lost}
## Data

{data}

`sha256` is a digest of what the documents say, whatever their order: of the sorted SHA-256 of each document's raw texts
and gold (`nlp_training.data.documents_sha256`). The same digest means the same documents.

How it was trained stands in `training.yaml`, every score in `metrics.json`, and what the data held in
`data_report.json`.
"""
_PLAIN = """
Without nlp-inference, the weights and the tokenizer load in plain transformers. What is missing then is the cleaning of
the text, the windows over long texts and the exact decoding, so expect other predictions than those that were scored:

```python
from transformers import pipeline

print(pipeline("{task}", model="{name}")("..."))
```

`AutoProcessor.from_pretrained` needs `from nlp_inference import Processor` first, and raises an error without it.
"""
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def model_card(
    config: RunConfig,
    processor: Processor,
    metrics: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, SplitMeasures],
) -> str:
    """Write a short model card, with the metadata that the Hub reads.

    Args:
        config: the run.
        processor: what is saved with the model.
        metrics: scores by data set.
        report: what each data set held, and which gold no model could give back.
    """
    task = processor.task
    labels = getattr(task, "labels", ())
    results = list(_results(config, metrics, task.pipeline_tag))
    data = ModelCardData(
        library_name="nlp-inference",
        pipeline_tag=task.pipeline_tag,
        base_model=_hub_id(config.model.base),
        datasets=[train] if (train := config.data.train.hub_id) else None,
        tags=["nlp-inference", task.name],
        metrics=list(dict.fromkeys(one.metric_type for one in results)) or None,
        model_name=config.name if results else None,
        eval_results=results or None,
    )
    is_stock = hasattr(transformers, task.auto_model)
    body = _BODY.format(
        name=config.name,
        task=task.name,
        count=len(labels),
        labels=", ".join(f"`{label}`" for label in labels[:100]),
        base=config.model.base if is_packaged(config.model.base) or _hub_id(config.model.base) else "a local model",
        plain=_PLAIN.format(name=config.name, task=task.pipeline_tag) if is_stock else "",
        scores=_table(metrics) + "".join(f"\n\n{note}" for note in fitted_notes(metrics)),
        lost=_read(metrics) + _lost(report),
        data=_data(report),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n{body}"))


def card_for(card: str, repo_id: str) -> str:
    """The same card with the Hub id in its snippets, in the place of the run's name.

    Example:
        >>> card_for('Predictor.from_pretrained("pii")  # the folder or the Hub id', "org/pii")
        'Predictor.from_pretrained("org/pii")  # the folder or the Hub id'
    """
    return re.sub(r'((?:Predictor\.from_pretrained\(|model=)")[^"\n]*"', rf'\g<1>{repo_id}"', card)


def _hub_id(base: str) -> str | None:
    """A base that is a folder of this machine, or inside a package, means nothing to the Hub."""
    return base if _HUB_ID.fullmatch(base) and not Path(base).exists() else None


def _results(config: RunConfig, metrics: Mapping[str, Mapping[str, Any]], tag: str) -> Iterator[EvalResult]:
    """One result for each overall score of each data set, as the Hub's `model-index` has them."""
    sources = config.data.sources()
    for name, scores in metrics.items():
        source, usual_split = sources["train"] if name in config.data.made else sources.get(name, (None, name))
        on_hub = source.hub_id if source is not None else None
        for metric, value in scores.items():
            if isinstance(value, float) and math.isfinite(value):
                yield EvalResult(
                    task_type=tag,
                    dataset_type=on_hub or ("synthetic_pii" if source and source.synthetic_pii else "private"),
                    dataset_name=name,
                    dataset_config=source.name if source is not None else None,
                    dataset_split=((source.split if source else None) or usual_split) if on_hub else name,
                    dataset_revision=source.revision if source is not None else None,
                    metric_type=metric,
                    metric_value=value,
                    metric_name=metric,
                )


def _read(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """How much of each data set the scores are of: a text that was cut off was scored on what was read."""
    lines = [
        f"Of `{name}`, {share_read(coverage)} of {coverage['characters']:,} characters were read, in "
        f"{coverage['windows']:,} windows; {coverage.get('deleted', 0):,} characters were deleted by preprocessing, "
        f"{coverage.get('unknown', 0):,} were unknown to the tokenizer; {coverage['truncated']:,} of "
        f"{coverage['documents']:,} documents were cut off."
        for name, scores in metrics.items()
        if (coverage := scores.get("coverage"))
    ]
    return "".join(f"\n{line}\n" for line in lines)


def _lost(report: Mapping[str, SplitMeasures]) -> str:
    lines = [
        f"{len(split.lost)} of {split.annotations} gold annotations of `{name}` cannot be given back exactly by any "
        "model of this task."
        for name, split in report.items()
        if split.lost
    ]
    return "".join(f"\n{line}\n" for line in lines)


def _data(report: Mapping[str, SplitMeasures]) -> str:
    if not report:
        return "The documents were streamed, and not counted."
    rows = [f"| {name} | {split.documents} | `{split.sha256}` |" for name, split in report.items()]
    return "\n".join(["| data | documents | sha256 |", "| --- | ---: | --- |", *rows])


def _table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if not any(isinstance(value, float) for scores in metrics.values() for value in scores.values()):
        return "Not evaluated: the run had neither validation nor test data."
    scores_of_all = [item for scores in metrics.values() for item in scores.items()]
    names = list(dict.fromkeys(name for name, value in scores_of_all if isinstance(value, float)))
    header = f"| data | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}\n"
    rows = [
        f"| {data} | {' | '.join(_cell(scores, name) if name in scores else '' for name in names)} |"
        for data, scores in metrics.items()
    ]
    about = (
        "\n\nIn brackets: 95 % intervals, by a bootstrap over documents." if "interval" in dict(scores_of_all) else ""
    )
    return header + "\n".join(rows) + about


def _cell(scores: Mapping[str, Any], name: str) -> str:
    between = interval_text(scores, name)
    return f"{scores[name]:.4f}" + (f" ({between})" if between else "")
