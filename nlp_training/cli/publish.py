"""`nlp-training publish`: a trained model to the Hugging Face Hub."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_training.release.publish import Plan


def publish_run(
    run: Annotated[str, typer.Argument(help="The folder of a run, or its model folder.")],
    repo_id: Annotated[str, typer.Argument(help="Where on the Hub, such as org/model.")],
    *,
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Who sees a repository that is made.")
    ] = None,
    revision: Annotated[str, typer.Option(help="The branch; it is made if there is none.")] = "main",
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    message: Annotated[str, typer.Option(help="Message of the commit.")] = "Publish the model",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show what would be sent; send nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say as JSON what was published.")] = False,
) -> None:
    """Publish a model with its processor, golden records, scores and model card, in one commit. It must verify."""
    messages = Console(stderr=True)
    with one_line_errors():
        from nlp_inference.quiet import quiet_libraries
        from nlp_training.release.publish import plan_release, publish

        quiet_libraries()
        if dry_run:
            plan = plan_release(run, repo_id)
            typer.echo(
                json.dumps({"files": plan.sizes, "left_out": plan.release.left_out}, indent=2)
            ) if as_json else None
            messages.print(release_table(plan, repo_id))
            return
        done = publish(
            run,
            repo_id,
            private=private,
            revision=revision,
            create_pr=create_pr,
            message=message,
            tell=lambda plan: messages.print(release_table(plan, repo_id)),
        )
        if as_json:
            typer.echo(json.dumps(asdict(done), indent=2))
            return
        for name in done.removed:
            messages.print(f"removed {name}, which this release has not")
        messages.print("[bold]pull request[/bold]" if done.pull_request else "[bold]published[/bold]", end=" ")
        typer.echo(done.url)


def release_table(plan: "Plan", repo_id: str) -> Table:
    """What is about to be sent, and what stays here."""
    table = Table(title=f"to {repo_id}", caption=_caption(plan), caption_justify="left", title_justify="left")
    table.add_column("file")
    table.add_column("size", justify="right")
    for name, size in plan.sizes.items():
        note = " [yellow](code: runs only with trust_remote_code=True)[/yellow]" if name in plan.release.code else ""
        table.add_row(name + note, decimal(size))
    table.add_section()
    table.add_row("together", decimal(sum(plan.sizes.values())))
    return table


def _caption(plan: "Plan") -> str | None:
    return f"stays here: {', '.join(plan.release.left_out)}" if plan.release.left_out else None
