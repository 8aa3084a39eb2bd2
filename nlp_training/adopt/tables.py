"""Console tables of an adoption."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nlp_training.adopt.causes import CAUSES
from nlp_training.adopt.comparison import Comparison
from nlp_training.adopt.deduction import Deduction
from nlp_training.adopt.effect import Effect
from nlp_training.adopt.tuning import Step, Trial, Tuned

_STYLES = {"assumed": "yellow", "measured": "cyan", "given": "bold"}


def deduction_table(deductions: Sequence[Deduction]) -> Table:
    """Return a table of what was deduced, with its evidence and the option that overrides it."""
    table = Table("property", "value", "evidence", title="what the checkpoint is", title_justify="left")
    for one in deductions:
        evidence = Text.assemble((one.basis, _STYLES.get(one.basis, "dim")), ": ", one.evidence)
        if one.option:
            evidence.append(f"  {one.option}", style="dim")
        table.add_row(one.subject, escape(one.value), evidence)
    return table


def trial_tables(tuned: Tuned) -> list[Text | Table]:
    """Return a table of scores for each step, below a title."""
    title = (
        f"settings, by {tuned.score_name} of {tuned.documents} documents; those of a step are tried in all "
        "combinations; ✓ chosen, · assumed"
    )
    return [Text(title, style="italic"), *(_step_table(step, tuned.score_name) for step in tuned.steps)]


def _step_table(step: Step, score_name: str) -> Table:
    """Return the scores of a step, with a column for each value of its last setting."""
    columns = step.columns
    last = [*step.trials[0].values][-1]
    table = Table(*step.settings, *(f"{last} {value}" if not index else value for index, value in enumerate(columns)))
    if not columns:
        table.add_column(score_name)
    for column in table.columns[len(step.settings) :]:
        column.justify = "right"
    for values, trials in step.rows:
        table.add_row(*map(escape, values), *map(_score_cell, trials))
    return table


def _score_cell(trial: Trial) -> Text:
    mark = " ✓" if trial.chosen else " ·" if trial.assumed else "  "
    return Text(f"{trial.score:.4f}{mark}", style="bold" if trial.chosen else "")


def tuned_lines(tuned: Tuned) -> list[Text]:
    """Return the scores before and after, and of which documents they are."""
    name = tuned.score_name
    before, after = (float(scores.get(name, 0.0)) for scores in (tuned.before, tuned.after))
    if tuned.same_documents:
        where = f"the same {tuned.scored} documents that settings were chosen on, so that it is too good"
    else:
        where = f"{tuned.scored} other documents"
    p_value = tuned.paired.get("p_value")
    test = "" if not isinstance(p_value, float) else f", p = {p_value:.3f}" if p_value >= 0.001 else ", p < 0.001"
    return [Text(f"{name} {before:.4f} as assumed, {after:.4f} as chosen, on {where}{test}", style="bold")]


def comparison_tables(found: Comparison) -> list[Text | Table]:
    """Return a table of the differences from the stock way of using the model, by cause, below its title."""
    title = (
        f"{found.title}: {found.agreeing:,} of {found.total:,} predictions agree, {found.same_texts:,} of "
        f"{len(found.texts):,} texts completely"
    )
    if found.scores is not None:
        title += f"; score {found.scores[0]:.4f}, here {found.scores[1]:.4f}"
    table = Table("cause", "differences", "meaning")
    table.columns[1].justify = "right"
    for cause, count in found.causes.items():
        table.add_row(cause, f"{count:,}", CAUSES[cause])
    return [Text(title, style="italic"), *([table] if found.causes else [])]


def effect_lines(effect: Effect) -> list[Text]:
    """Return lines on the effect of added preprocessing."""
    edits = ", ".join(f"{name} {count:,} edits" for name, count in effect.transforms.items())
    return [
        Text(
            f"preprocessing: {edits}; {effect.edited:,} of {effect.texts:,} texts edited, the predictions of "
            f"{len(effect.changed):,} differ"
        )
    ]
