"""`nlp-training publish`: publish a trained model on the Hugging Face Hub."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.table import Table

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_training.release.plan import Plan


def publish_run(  # noqa: PLR0913 - each is an option of the command
    run: Annotated[str, typer.Argument(help="The folder of a run, or its model folder.")],
    repo_id: Annotated[str, typer.Argument(help="The Hub repository, such as org/model.")],
    *,
    private: Annotated[bool | None, typer.Option("--private/--public", help="Visibility of a new repository.")] = None,
    revision: Annotated[str, typer.Option(help="The branch; it is created if missing.")] = "main",
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    message: Annotated[str, typer.Option(help="The commit message.")] = "Publish the model",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and show what would be uploaded; upload nothing.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that was saved with the model, to verify it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Report what was published as JSON.")] = False,
) -> None:
    """Publish a model with its processor, golden records, scores and model card in one commit, if it verifies."""
    messages = Console(stderr=True)
    with one_line_errors():
        from nlp_inference._utils.quiet import one_line_warnings, quiet_libraries
        from nlp_training.release.plan import plan_release
        from nlp_training.release.publish import publish

        quiet_libraries()
        with one_line_warnings(messages):
            plan = plan_release(run, repo_id, trust_remote_code=trust_remote_code)
        messages.print(release_table(plan, private=private))
        if dry_run:
            if as_json:
                content = {"files": plan.sizes, "left_out": plan.release.left_out, "texts": plan.texts}
                typer.echo(json.dumps({**content, "private": private}, indent=2))
            return
        done = publish(plan, private=private, revision=revision, create_pr=create_pr, message=message)
        if as_json:
            typer.echo(json.dumps(asdict(done), indent=2))
            return
        for name in done.removed:
            messages.print(f"removed {name}, which this release does not contain")
        messages.print("[bold]pull request[/bold]" if done.pull_request else "[bold]published[/bold]", end=" ")
        typer.echo(done.url)


_SEEN_BY = {
    True: "only members of the namespace will see them (--private)",
    False: "everyone will see them (--public)",
    None: "everyone will see them, unless the repository is private: pass --private or --public",
}


def release_table(plan: "Plan", *, private: bool | None) -> Table:
    """Build a table of the files to upload and of those that are not uploaded."""
    caption = "\n".join(_caption(plan, private=private))
    table = Table(title=f"to {plan.repo_id}", caption=caption, caption_justify="left", title_justify="left")
    table.add_column("file")
    table.add_column("size", justify="right")
    for name, size in plan.sizes.items():
        note = " [yellow](code: runs only with trust_remote_code=True)[/yellow]" if name in plan.release.code else ""
        table.add_row(name + note, decimal(size))
    table.add_section()
    table.add_row("total", decimal(sum(plan.sizes.values())))
    return table


def _caption(plan: "Plan", *, private: bool | None) -> Iterator[str]:
    if plan.texts:
        yield f"golden.json contains {plan.texts} texts of your data; {_SEEN_BY[private]}"
    if plan.release.left_out:
        yield f"not uploaded: {', '.join(plan.release.left_out)}"
