"""`nlp-training annotate`: predictions as suggestions for an annotation tool."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors, source_fields


class SortBy(StrEnum):
    """The order of texts."""

    ENTROPY = "entropy"
    MARGIN = "margin"
    RANDOM = "random"


def annotate_texts(  # noqa: PLR0913 - the options of the command
    model: Annotated[str, typer.Argument(help="The folder of a run or of a model, or a Hub id.")],
    source: Annotated[str, typer.Argument(metavar="FILE", help="Texts, as `nlp-training convert` reads them.")],
    out: Annotated[Path, typer.Argument(help="The file or folder for the tool.")],
    *,
    format_name: Annotated[
        str, typer.Option("--format", metavar="label-studio|doccano|prodigy|brat|…", help="The format of the tool.")
    ],
    sort: Annotated[SortBy, typer.Option(help="Which texts come first.")] = SortBy.ENTROPY,
    limit: Annotated[int | None, typer.Option(min=1, help="Write at most this many texts.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of --sort random.")] = 0,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write predictions as suggestions for correction, the most uncertain texts first."""
    messages = Console(stderr=True, soft_wrap=True)
    with one_line_errors():
        from nlp_inference import Predictor
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.annotate import annotate
        from nlp_training.artefact.folder import model_or_hub_id
        from nlp_training.data import load_documents

        quiet_libraries()
        with (
            one_line_warnings(messages),
            Predictor.from_pretrained(model_or_hub_id(model), trust_remote_code=trust_remote_code) as predictor,
        ):
            found = annotate(
                predictor,
                load_documents(source_fields(source), default_split="train"),
                out,
                format_name=format_name,
                sort=sort.value,
                limit=limit,
                seed=seed,
                overwrite=overwrite,
            )
        Console().print(
            f"{found.documents:,} suggestions in {found.out}, of which {found.similar:,} resemble an earlier text and "
            f"come last; {found.annotated:,} documents with gold were left out",
            f"after correction: nlp-training convert EXPORT TO --suggestions {found.suggestions}",
            sep="\n",
            highlight=False,
            soft_wrap=True,
        )
