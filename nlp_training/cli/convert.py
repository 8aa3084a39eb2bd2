"""`nlp-training convert`: convert documents between formats, and split them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors, source_fields

if TYPE_CHECKING:
    from nlp_inference.document import Document
    from nlp_training.data.formats import Part


@dataclass
class Written:
    """Counts of what was written to a path."""

    path: str
    documents: int = 0
    annotated: int = 0
    characters: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def count(self, documents: Iterable["Document"]) -> Iterator["Document"]:
        """Yield the documents unchanged and count them."""
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
    target: Annotated[Path, typer.Argument(metavar="TO", help="A file or a folder; a folder with --split.")],
    *,
    from_format: Annotated[str | None, typer.Option("--from", help="Format of FROM; default: from its suffix.")] = None,
    to_format: Annotated[
        str | None, typer.Option("--to", help="Format of TO; default: from its suffix, or jsonl.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Drop a part that TO cannot store, such as metadata, id, scores.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Write one file per split: train=0.8,validation=0.1,test=0.1")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the splits.")] = 42,
    stratify: Annotated[bool, typer.Option(help="Give each split its share of every label.")] = True,
    group_by: Annotated[
        str | None, typer.Option(help="Keep documents with the same value together: metadata.source, or text.")
    ] = None,
    suggestions: Annotated[
        Path | None, typer.Option(help="What `nlp-training annotate` wrote: join the corrections with it.")
    ] = None,
    drop_unchanged: Annotated[
        bool, typer.Option("--drop-unchanged", help="With --suggestions: leave out texts annotated as suggested.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="With --suggestions: an HTML page of the corrections, with examples.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report what was written as JSON.")] = False,
) -> None:
    """Convert documents to another format without loss. Parts that it cannot store are an error, unless --drop."""
    with one_line_errors():
        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training.data.sources import stream_documents
        from nlp_training.data.splits import parse_shares, split_documents

        quiet_libraries()
        shares = None if split is None else parse_shares(split)
        if shares is None and group_by is not None:
            raise _usage("--group-by requires --split; name the splits, as in --split train=0.9,test=0.1")
        _check_report(report, suggestions, overwrite=overwrite)
        targets = _targets(target, to_format, [] if shares is None else [*shares], overwrite=overwrite)
        with _progress() as track:
            fields = source_fields(source)
            if from_format is not None:
                fields["format"] = from_format
            read = track(stream_documents(fields))
            corrected, tables = (read, []) if suggestions is None else _corrected(read, suggestions, page=report)
            if drop_unchanged:
                corrected = _changed(corrected)
            documents = _without(corrected, drop or [])
            sets: dict[str, Iterable[Document]] = {"": documents}
            if shares is not None:
                sets = dict(split_documents(list(documents), shares, seed=seed, stratify=stratify, group_by=group_by))
            written = [_write(sets[name], path, chosen) for name, (path, chosen) in targets.items()]
        if as_json:
            typer.echo(json.dumps([vars(one) for one in written], indent=2, ensure_ascii=False))
        else:
            Console().print(written_table(written), *tables)


def _check_report(report: Path | None, suggestions: Path | None, *, overwrite: bool) -> None:
    """Check that the page can be written, before anything is read."""
    if report is not None and suggestions is None:
        raise _usage("--report requires --suggestions; name the file that nlp-training annotate wrote")
    if report is not None and report.exists() and not overwrite:
        raise _usage(f"{str(report)!r} already exists; choose another path, or pass --overwrite")


def _corrected(
    documents: Iterable["Document"], suggestions: Path, *, page: Path | None
) -> tuple[list["Document"], list[Any]]:
    """Join corrections with what was suggested; return them with the tables of what was corrected."""
    from nlp_training.annotate import (
        correction_tables,
        count_corrections,
        join_suggestions,
        write_corrections_page,
    )
    from nlp_training.annotate.suggest import NEEDS
    from nlp_training.data import load_documents
    from nlp_training.reports.html import report_link

    suggested = load_documents({"path": str(suggestions), "format": "jsonl"}, default_split="train")
    if not suggested or NEEDS not in suggested[0].metadata:
        raise _usage(f"{str(suggestions)!r} was not written by nlp-training annotate")
    corrected = list(join_suggestions(documents, suggested))
    needs: Any = suggested[0].metadata[NEEDS]
    tables: list[Any] = [*correction_tables(count_corrections(corrected, needs=needs))]
    if page is not None:
        tables.append(report_link(write_corrections_page(corrected, page, needs=needs, overwrite=True)))
    return corrected, tables


def _changed(documents: Iterable["Document"]) -> Iterator["Document"]:
    from nlp_training.annotate import is_unchanged

    return (document for document in documents if not is_unchanged(document))


def _usage(message: str) -> Exception:
    from nlp_training.data import InvalidDataError

    return InvalidDataError(message)


def _targets(target: Path, to_format: str | None, names: list[str], *, overwrite: bool) -> dict[str, tuple[Path, str]]:
    """Return the path and format of every set to write."""
    from nlp_training.data.formats import format_of_suffix, named_format

    by_suffix = None if names else format_of_suffix(target)
    if to_format is None and not names and by_suffix is None:
        raise _usage(f"the suffix of {str(target)!r} does not determine its format; name the format with --to")
    chosen = named_format(to_format) if to_format is not None else by_suffix or named_format("jsonl")
    paths = {name: target / f"{name}{chosen.suffix}" for name in names} or {"": target}
    existing = [str(path) for path in paths.values() if path.exists()]
    if existing and not overwrite:
        raise _usage(f"{existing[0]!r} already exists; choose another path, or pass --overwrite")
    return {name: (path, chosen.name) for name, path in paths.items()}


def _without(documents: Iterable["Document"], drop: list[str]) -> Iterator["Document"]:
    from nlp_training.data.formats.parts import PARTS, leave_out

    parts: set[Part] = {part for part in PARTS if part in drop}
    if unknown := sorted({*drop} - parts):
        raise _usage(f"cannot drop {unknown[0]!r}; the parts are {', '.join(PARTS)}")
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
    """Build a table of the counts of each path and of its labels."""
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
