"""`nlp-training preview-augmentation`: show the augmented training documents of a run."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_inference import Document
    from nlp_training.augment import Augmented, Augmenter


def preview_augmentation(
    config: Annotated[Path, typer.Argument(help="A run's YAML file, such as configs/quickstart_augmented.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Keys to override: augment=[wrap_html] data.train=my.jsonl")
    ] = None,
    *,
    count: Annotated[int, typer.Option(min=1, help="Number of changed documents to show.")] = 10,
    epoch: Annotated[int, typer.Option(min=0, help="The epoch, counted from 0.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object per line instead of rendered documents.")
    ] = False,
) -> None:
    """Show training documents as an epoch reads them, with the edits of each augmentation and the resulting gold."""
    with one_line_errors():
        import json

        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_inference.errors import InvalidSpecError
        from nlp_training import load_config, load_documents
        from nlp_training.augment import Augmenter
        from nlp_training.config.user_modules import import_modules
        from nlp_training.data import with_made_splits

        quiet_libraries()
        run = load_config(config, overrides or ())
        if not run.augment:
            raise InvalidSpecError(f"{config} has no section augment; add one, such as augment=[keyboard_typos]")
        import_modules(run.modules)
        train = load_documents(run.data.train, default_split="train")
        documents = with_made_splits({"train": train}, run.data.split)["train"]
        augmenter = Augmenter(run.augment, documents, seed=run.seed)
        console = Console()
        for augmented in islice(_changed(augmenter, documents, epoch=epoch), count):
            if as_json:
                typer.echo(json.dumps(_as_json(augmented), ensure_ascii=False))
            else:
                console.print(augmented.as_edits(), augmented.document, "")


def _changed(augmenter: "Augmenter", documents: "Sequence[Document]", *, epoch: int) -> "Iterator[Augmented]":
    """Yield the documents that the augmentations change, in order."""
    everything = (augmenter(document, epoch=epoch) for document in documents)
    return (augmented for augmented in everything if augmented.records or augmented.records_pair)


def _as_json(augmented: "Augmented") -> dict[str, Any]:
    return {
        "source": augmented.as_edits().model_dump(mode="json", exclude_defaults=True),
        "augmented": augmented.document.model_dump(mode="json", exclude_defaults=True),
    }
