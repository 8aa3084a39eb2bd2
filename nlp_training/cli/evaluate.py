"""`nlp-training evaluate`: the scores of a saved model, alone or against another one."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from nlp_training.cli._shared import one_line_errors


def evaluate(
    model: Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")],
    data: Annotated[str, typer.Argument(help="Documents with gold: a file or a Hub id.")],
    *,
    against: Annotated[
        str | None, typer.Option("--against", help="Another model: test whether MODEL is better on the same documents.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write every score as JSON, in place of tables.")] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model.")
    ] = False,
) -> None:
    """Score a saved model on documents with gold."""
    with one_line_errors():
        from nlp_inference import Predictor
        from nlp_inference.quiet import one_line_warnings, quiet_libraries
        from nlp_training import load_documents
        from nlp_training.evaluation import evaluate_pair
        from nlp_training.reports.tables import coverage_table, detail_table, paired_table, per_label_table, score_table

        quiet_libraries()
        names = [model] if against is None else [model, against]
        with one_line_warnings(Console(stderr=True, soft_wrap=True)):
            predictors = [Predictor.from_pretrained(name, trust_remote_code=trust_remote_code) for name in names]
        found = evaluate_pair(*predictors, documents=load_documents(data, default_split="test"))
        if as_json:
            sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
            return
        metrics = {data: found["scores"]} if against is None else {model: found["scores"], against: found["against"]}
        tables = (per_label_table(metrics), detail_table(metrics), coverage_table(metrics), score_table(metrics))
        Console().print(*tables)
        if found.get("paired"):
            Console().print(paired_table(found["paired"], model=model, against=against or ""))
