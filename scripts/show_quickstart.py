"""Load the model of `make quickstart` in a fresh process and show it at work on messy text."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.panel import Panel

from nlp_inference import Predictor, redact

MESSY = (
    """<p>Hello&nbsp;team,</p><p>my name is <b>Oliver Bennett</b> &amp; my card 4539 1488 0343 6467 was charged twice.</p>
<p>Please call +44 20 7946 0958 or write to oliver.bennett@example.com</p>""",
    "Hi, it\u00e2\u20ac\u2122s Ren\u00c3\u00a9e Dubois again. Please refund to IBAN "
    "FR76\u00a03000\u00a06000\u00a00112\u00a03456\u00a07890\u00a0189, thanks!",
    "\u201cShip it to 221B Baker Street, London NW1 6XE\u201d, said \u2018Amara\u00a0Okafor\u2019 "
    "on 14\u00a0March\u00a02024\u2026",
)


def main(
    model: Annotated[Path, typer.Argument(help="The folder that training wrote.")] = Path("runs/quickstart/model"),
) -> None:
    """Predict messy texts, show what was found on the raw text, and the raw text redacted."""
    console = Console()
    predictor = Predictor.from_pretrained(model)
    for document in predictor.predict(MESSY):
        console.print(Panel(document, title=f"document {document.id}"))
        console.print("[bold]redacted[/bold]", redact(document), "", highlight=False, markup=False)


if __name__ == "__main__":
    typer.run(main)
