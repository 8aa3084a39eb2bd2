"""`nlp-training convert`: documents from one format to another, and into splits."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from nlp_training.cli._shared import one_line_errors, source_fields

if TYPE_CHECKING:
    from nlp_inference.document import Document
    from nlp_training.data.formats import Part


@dataclass
class Written:
    """What was written to a path."""

    path: str
    documents: int = 0
    annotated: int = 0
    characters: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def count(self, documents: Iterable["Document"]) -> Iterator["Document"]:
        """The same documents, counted as they pass."""
        from nlp_training.data.splits import labels_of

        for document in documents:
            self.documents += 1
            self.characters += len(document.raw_text)
            if document.gold is not None:
                self.annotated += 1
                self.labels.update(labels_of(document))
            yield document


def convert(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="A file, a folder, a Hub id, or '{path: ..., columns: ...}' in YAML.")
    ],
    target: Annotated[Path, typer.Argument(metavar="TO", help="A file or a folder; with --split a folder.")],
    *,
    from_format: Annotated[str | None, typer.Option("--from", help="Format of FROM; default: by its suffix.")] = None,
    to_format: Annotated[
        str | None, typer.Option("--to", help="Format of TO; default: by its suffix, or jsonl.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Leave a part out that TO cannot carry, such as metadata, id, scores.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Write a file for each: train=0.8,validation=0.1,test=0.1")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits.")] = 42,
    stratify: Annotated[bool, typer.Option(help="Give each split its share of every label.")] = True,
    group_by: Annotated[
        str | None, typer.Option(help="Keep documents of one value together: metadata.source, or text.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say as JSON what was written.")] = False,
) -> None:
    """Convert documents to another format without loss: what it cannot carry is an error, or left out by --drop."""
    with one_line_errors():
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training.data.sources import stream_documents
        from nlp_training.data.splits import parse_shares, split_documents

        quiet_libraries()
        shares = None if split is None else parse_shares(split)
        if shares is None and group_by is not None:
            raise _usage("--group-by is for --split; name the splits, as in --split train=0.9,test=0.1")
        targets = _targets(target, to_format, [] if shares is None else [*shares], overwrite=overwrite)
        with _progress() as track:
            fields = source_fields(source)
            if from_format is not None:
                fields["format"] = from_format
            documents = _without(track(stream_documents(fields)), drop or [])
            sets: dict[str, Iterable[Document]] = {"": documents}
            if shares is not None:
                sets = dict(split_documents(list(documents), shares, seed=seed, stratify=stratify, group_by=group_by))
            written = [_write(sets[name], path, chosen) for name, (path, chosen) in targets.items()]
        if as_json:
            typer.echo(json.dumps([vars(one) for one in written], indent=2, ensure_ascii=False))
        else:
            Console().print(written_table(written))


def _usage(message: str) -> Exception:
    from nlp_training.data import InvalidDataError

    return InvalidDataError(message)


def _targets(target: Path, to_format: str | None, names: list[str], *, overwrite: bool) -> dict[str, tuple[Path, str]]:
    """Path and format of every set that is written."""
    from nlp_training.data.formats import format_of_suffix, named_format

    by_suffix = None if names else format_of_suffix(target)
    if to_format is None and not names and by_suffix is None:
        raise _usage(f"the format of {str(target)!r} is not known by its suffix; name it with --to")
    chosen = named_format(to_format) if to_format is not None else by_suffix or named_format("jsonl")
    paths = {name: target / f"{name}{chosen.suffix}" for name in names} or {"": target}
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise _usage(f"there is already {there[0]!r}; write elsewhere, or give --overwrite")
    return {name: (path, chosen.name) for name, path in paths.items()}


def _without(documents: Iterable["Document"], drop: list[str]) -> Iterator["Document"]:
    from nlp_training.data.formats.parts import PARTS, leave_out

    parts: set[Part] = {part for part in PARTS if part in drop}
    if unknown := sorted({*drop} - parts):
        raise _usage(f"cannot leave out {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    for document in documents:
        yield leave_out(document, parts) if parts else document


def _write(documents: Iterable["Document"], path: Path, chosen: str) -> Written:
    from nlp_training.data.formats import write_documents

    written = Written(str(path))
    write_documents(written.count(documents), path, format_name=chosen)
    return written


@contextmanager
def _progress() -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield lambda documents: progress.track(documents, description="documents")


def written_table(written: list[Written]) -> Table:
    """What was written, path by path, and how often each has each label."""
    table = Table("", *(one.path for one in written), title="written", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in ("documents", "annotated", "characters"):
        table.add_row(name, *(f"{getattr(one, name):,}" for one in written))
    table.add_section()
    total = sum((one.labels for one in written), Counter[str]())
    for label, _ in total.most_common():
        table.add_row(label, *(f"{one.labels[label]:,}" for one in written))
    return table
