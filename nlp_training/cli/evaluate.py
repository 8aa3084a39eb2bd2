"""`nlp-training evaluate`: the scores of a saved model."""

from typing import Annotated

import typer
from rich.console import Console

from nlp_training.cli._shared import one_line_errors


def evaluate(
    model: Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")],
    data: Annotated[str, typer.Argument(help="Documents with gold: a file or a Hub id.")],
) -> None:
    """Score a saved model on documents with gold."""
    with one_line_errors():
        from nlp_inference import Predictor
        from nlp_inference.quiet import one_line_warnings, quiet_libraries
        from nlp_training import load_documents
        from nlp_training.evaluation import evaluate_documents
        from nlp_training.reports.tables import per_label_table, score_table

        quiet_libraries()
        with one_line_warnings(Console(stderr=True, soft_wrap=True)):
            predictor = Predictor.from_pretrained(model)
        scores = evaluate_documents(predictor, load_documents(data, default_split="test"))
        Console().print(score_table({data: scores}), per_label_table({data: scores}))
