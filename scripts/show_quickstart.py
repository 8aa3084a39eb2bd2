"""Load the model of `make quickstart` in a new process and show its predictions on messy text."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nlp_inference import Predictor, redact
from nlp_inference._utils.quiet import quiet_libraries

MESSY_TEXTS = Path(__file__).with_name("messy_texts.txt")


def main(
    model: Annotated[Path, typer.Argument(help="Model folder.")] = Path("runs/quickstart/model"),
) -> None:
    """Predict messy texts and show the spans on the raw text and the redacted text."""
    console = Console()
    quiet_libraries()
    predictor = Predictor.from_pretrained(model)
    for document in predictor.predict(MESSY_TEXTS.read_text(encoding="utf-8").splitlines()):
        console.print(document)
        console.print("[bold]redacted:[/bold]")
        console.print(redact(document), "\n", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
