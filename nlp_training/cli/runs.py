"""`nlp-training runs`: list and compare runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nlp_inference._utils.terminal import Console
from nlp_training.cli._shared import one_line_errors

if TYPE_CHECKING:
    from nlp_training.runs import Run
    from nlp_training.runs.folder import Score

LIST = "list"


class _ListByDefault(TyperGroup):
    """A group whose default command is `list`: `nlp-training runs` and `nlp-training runs my/runs`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `click.Group.parse_args`."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


runs = typer.Typer(cls=_ListByDefault, help="List the runs in a folder, or compare runs.")


@runs.command(LIST)
def list_runs(
    folder: Annotated[Path, typer.Argument(help="The folder that contains runs.")] = Path("runs"),
    *,
    sort: Annotated[
        str, typer.Option("--sort", help="name, date, status, duration, or a data set such as test for its score.")
    ] = "date",
    as_json: Annotated[bool, typer.Option("--json", help="Write the runs as JSON instead of a table.")] = False,
) -> None:
    """List finished, unfinished and broken runs; the newest, the longest or the best comes first."""
    with one_line_errors():
        import json

        from nlp_training.runs import find_runs
        from nlp_training.runs.run_tables import runs_table

        found = find_runs(folder)
        found.sort(key=_order(sort, found))
        if as_json:
            sys.stdout.write(json.dumps([run.to_json() for run in found], indent=2, ensure_ascii=False) + "\n")
        elif found:
            Console().print(runs_table(found))
        else:
            Console().print(f"no runs in {folder}", markup=False)


def _order(sort: str, found: "list[Run]") -> "Callable[[Run], tuple[Any, ...]]":
    from nlp_inference.errors import InvalidSpecError

    orders: dict[str, Callable[[Run], tuple[Any, ...]]] = {
        "name": lambda run: (run.name,),
        "date": lambda run: (-run.started.timestamp() if run.started is not None else 0.0, run.name),
        "status": lambda run: (run.status, run.name),
        "duration": lambda run: (-(run.seconds or 0.0), run.name),
    }
    data_sets = dict.fromkeys(data for run in found for data in run.scores())
    if sort in orders:
        return orders[sort]
    if sort not in data_sets:
        known = ", ".join((*orders, *data_sets))
        raise InvalidSpecError(f"cannot sort runs by {sort!r}; expected one of {known}")
    return lambda run: (_rank(run.scores().get(sort)), run.name)


def _rank(score: "Score | None") -> float:
    """Return a key that puts the best score first and runs without one last."""
    from nlp_training.gold import greater_is_better

    if score is None:
        return float("inf")
    return -score.value if greater_is_better(score.name) else score.value


@runs.command("compare")
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs, such as runs/one runs/other.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Write the comparison as JSON instead of tables.")] = False,
) -> None:
    """Show the settings and scores that differ between runs, and a significance test for two runs."""
    with one_line_errors():
        import json

        from nlp_inference._utils.quiet import quiet_libraries
        from nlp_training.runs import compare_runs
        from nlp_training.runs.run_tables import comparison_tables

        quiet_libraries()
        found = compare_runs(folders)
        if as_json:
            sys.stdout.write(json.dumps(found.to_json(), indent=2, ensure_ascii=False) + "\n")
        else:
            Console().print(comparison_tables(found))
