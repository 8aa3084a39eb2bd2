"""`nlp-training evaluate`: score a saved model, alone or against another model."""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlp_inference._utils.terminal import Console
from nlp_inference.errors import NlpInferenceError
from nlp_training.cli._shared import one_line_errors, source_fields

if TYPE_CHECKING:
    from nlp_training.metrics import Metric


def evaluate(
    model: Annotated[str, typer.Argument(help="The folder of a run, its model folder, or a Hub id.")],
    data: Annotated[
        str, typer.Argument(help="Documents with gold: a file, a Hub id, or '{path: ..., split: ...}' in YAML.")
    ],
    *,
    against: Annotated[
        str | None, typer.Option("--against", help="Another model: test whether MODEL is better on the same documents.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A run's YAML file: also compute its metrics. This runs the code of its modules."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write every score as JSON instead of tables.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model.")
    ] = False,
) -> None:
    """Score a saved model on documents with gold."""
    with one_line_errors():
        from nlp_inference import Predictor
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training import load_documents
        from nlp_training.artefact.folder import model_or_hub_id
        from nlp_training.evaluation import evaluate_pair
        from nlp_training.reports.score_tables import paired_tables, score_tables

        quiet_libraries()
        names = [model_or_hub_id(name) for name in (model, against) if name is not None]
        messages = Console(stderr=True, soft_wrap=True)
        custom = _custom_metrics(config) if config is not None else []
        with one_line_warnings(messages):
            predictors = [Predictor.from_pretrained(name, trust_remote_code=trust_remote_code) for name in names]
        found = evaluate_pair(
            *predictors, documents=load_documents(source_fields(data), default_split="test"), own=custom
        )
        if config is None and (omitted := _omitted_metrics(names[0])):
            messages.print(f"not computed: {omitted}", style="yellow", highlight=False, markup=False)
        if as_json:
            sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
            return
        metrics = {data: found["scores"]} if against is None else {model: found["scores"], against: found["against"]}
        Console().print(*score_tables(metrics))
        if found.get("paired"):
            Console().print(*paired_tables(found["paired"], model=model, against=against or ""))


def _custom_metrics(config: Path) -> "list[Metric]":
    from nlp_training import load_config
    from nlp_training.config.user_modules import import_modules
    from nlp_training.metrics import Metric

    run = load_config(config)
    import_modules(run.modules)
    return [Metric.from_spec(spec) for spec in run.metrics]


def _omitted_metrics(model: str) -> str:
    """Name the custom metrics of the model's run and how to compute them; their code runs only on request."""
    from nlp_training import load_config

    saved = Path(model) / "training.yaml"
    with suppress(NlpInferenceError, OSError):  # not every model comes from a run
        if specs := load_config(saved).metrics:
            names = ", ".join(spec if isinstance(spec, str) else next(iter(spec), "") for spec in specs)
            return f"{names}; to compute them, pass --config {saved}, which runs the code that the file names"
    return ""
