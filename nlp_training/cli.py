"""The command `nlp-training`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nlp_inference.errors import NlpInferenceError

app = typer.Typer(no_args_is_help=True, help="Train and evaluate models whose artefacts nlp-inference serves.")


@app.command("train")
def train_command(
    config: Annotated[Path, typer.Argument(help="A run's YAML file, such as configs/quickstart.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: training.num_train_epochs=1 data.train=my.jsonl")
    ] = None,
) -> None:
    """Train, evaluate and save the run that a configuration describes."""
    with _one_line_errors():
        from nlp_inference.quiet import quiet_libraries
        from nlp_training import load_config, train

        quiet_libraries()
        train(load_config(config, overrides or ()), console=Console())


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")],
    data: Annotated[str, typer.Argument(help="Documents with gold: a file or a Hub id.")],
) -> None:
    """Score a saved model on documents with gold."""
    with _one_line_errors():
        from nlp_inference import Predictor
        from nlp_inference.quiet import quiet_libraries
        from nlp_training import load_documents
        from nlp_training.evaluation import evaluate_documents
        from nlp_training.reports.tables import per_label_table, score_table

        quiet_libraries()
        scores = evaluate_documents(Predictor.from_pretrained(model), load_documents(data, default_split="test"))
        Console().print(score_table({data: scores}), per_label_table({data: scores}))


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Say what is wrong with a run, a file or the network without a traceback, and exit with 1."""
    try:
        yield
    except (NlpInferenceError, OSError) as error:
        message = f"{type(error).__name__}: {error}"
        Console(stderr=True).print(message, style="red", highlight=False, markup=False)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
