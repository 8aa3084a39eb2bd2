"""The model card of an artefact, rendered from `model_card_template.md.jinja`."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import transformers
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined
from transformers.pipelines import PIPELINE_REGISTRY

from nlp_inference import Processor, Task
from nlp_training._utils.base_model import is_packaged
from nlp_training.config import RunConfig
from nlp_training.config.config import DataConfig
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.evaluation import share_read
from nlp_training.reports.score_tables import fitted_notes, interval_text

_TEMPLATE = "model_card_template.md.jinja"
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


class CardSource(NamedTuple):
    """What a model card says about the origin of a model.

    Attributes:
        name: the name of the model.
        base: the model that it was made from.
        data: the documents, if there were any.
        is_adopted: whether the model was adopted without training.
        commit: the commit of `base` on the Hub that was adopted.
        pairs: whether the model was made for text pairs.
    """

    name: str
    base: str
    data: DataConfig | None
    is_adopted: bool = False
    commit: str | None = None
    pairs: bool = False


def model_card(
    config: RunConfig,
    processor: Processor,
    metrics: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, SplitMeasures],
) -> str:
    """Return the model card, with the metadata that the Hub reads.

    Args:
        config: the configuration of the run.
        processor: the processor that is saved with the model.
        metrics: the scores by data set.
        report: the measures of each data set, including the gold that no model can predict.
    """
    return card_of(CardSource(config.name, config.model.base, config.data), processor, metrics, report)


def card_of(
    source: CardSource,
    processor: Processor,
    metrics: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, SplitMeasures],
) -> str:
    """Return the model card of a model of any origin; see `model_card`."""
    task = processor.task
    labels = getattr(task, "labels", ())
    results = [] if source.data is None else list(_results(source.data, metrics, task.pipeline_tag))
    data = ModelCardData(
        library_name="nlp-inference",
        pipeline_tag=task.pipeline_tag,
        base_model=_hub_id(source.base),
        datasets=[train] if source.data is not None and (train := source.data.train.hub_id) else None,
        tags=["nlp-inference", task.name],
        metrics=list(dict.fromkeys(one.metric_type for one in results)) or None,
        model_name=source.name if results else None,
        eval_results=results or None,
    )
    body = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            name=source.name,
            is_adopted=source.is_adopted,
            commit=source.commit,
            has_configuration=source.data is not None,
            task=task.name,
            labels=labels,
            base=source.base if is_packaged(source.base) or _hub_id(source.base) else "a local model",
            auto_model=task.auto_model if hasattr(transformers, task.auto_model) else None,
            pipeline_tag=task.pipeline_tag if _has_pipeline(task) else None,
            metrics=metrics,
            score_names=_score_names(metrics),
            has_intervals=any("interval" in scores for scores in metrics.values()),
            fitted=fitted_notes(metrics),
            needs_pair=task.needs_pair or source.pairs,
            heads={head: one.name for head, one in task.tasks.items() if head},
            report=report,
        )
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n{body}"))


def card_for(card: str, repo_id: str) -> str:
    """Return the card with the Hub id instead of the run's name in its snippets.

    Example:
        >>> card_for('Predictor.from_pretrained("pii")  # the folder or the Hub id', "org/pii")
        'Predictor.from_pretrained("org/pii")  # the folder or the Hub id'
    """
    return re.sub(r'((?:\w\.from_pretrained\(|model=)")[^"\n]*"', rf'\g<1>{repo_id}"', card)


def _has_pipeline(task: Task) -> bool:
    """Return whether the installed transformers has a pipeline that loads the models of a task."""
    if task.pipeline_tag not in PIPELINE_REGISTRY.get_supported_tasks():
        return False
    _, pipeline, _ = PIPELINE_REGISTRY.check_task(task.pipeline_tag)
    return task.auto_model in {loaded.__name__ for loaded in pipeline["pt"]}


def _hub_id(base: str) -> str | None:
    """Return the base if it is a Hub id rather than a local folder or a folder in a package."""
    return base if _HUB_ID.fullmatch(base) and not Path(base).exists() else None


def _results(data: DataConfig, metrics: Mapping[str, Mapping[str, Any]], tag: str) -> Iterator[EvalResult]:
    """Yield one result per overall score and data set, as in the `model-index` of the Hub."""
    sources = data.sources()
    for name, scores in metrics.items():
        source, usual_split = sources["train"] if name in data.made else sources.get(name, (None, name))
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


def _score_names(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(
        dict.fromkeys(name for scores in metrics.values() for name, value in scores.items() if isinstance(value, float))
    )


def _cell(scores: Mapping[str, Any], name: str) -> str:
    """Return the cell of a score with its interval, or an empty cell if the data set does not have the score."""
    if name not in scores:
        return ""
    between = interval_text(scores, name)
    return f"{scores[name]:.4f}" + (f" ({between})" if between else "")


def _environment() -> Environment:
    environment = Environment(
        autoescape=False,  # noqa: S701 - the output is Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=PackageLoader("nlp_training.artefact", ""),
    )
    environment.filters |= {"cell": _cell, "share_read": share_read, "thousands": "{:,}".format}
    return environment
