"""The command `nlp-training`."""

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
    from nlp_training import load_config, train
    from nlp_training.quiet import quiet_libraries

    console = Console()
    quiet_libraries()
    try:
        train(load_config(config, overrides or ()), console=console)
    except NlpInferenceError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]:", str(error), highlight=False)
        raise typer.Exit(1) from error


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A folder that training wrote, or a Hub id.")],
    data: Annotated[str, typer.Argument(help="Documents with gold: a file or a Hub id.")],
) -> None:
    """Score a saved model on documents with gold."""
    from nlp_inference import Predictor
    from nlp_training import load_documents
    from nlp_training.evaluation import evaluate_documents
    from nlp_training.quiet import quiet_libraries
    from nlp_training.reports.tables import per_label_table, score_table

    console = Console()
    quiet_libraries()
    try:
        scores = evaluate_documents(Predictor.from_pretrained(model), load_documents(data, default_split="test"))
    except NlpInferenceError as error:
        console.print(f"[bold red]{type(error).__name__}[/bold red]:", str(error), highlight=False)
        raise typer.Exit(1) from error
    console.print(score_table({data: scores}), per_label_table({data: scores}))


if __name__ == "__main__":
    app()
