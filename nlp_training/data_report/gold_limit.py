"""The limit on the share of training gold that no model can predict."""

from collections.abc import Mapping

from nlp_inference.tasks.base import UNREAD
from nlp_inference.tasks.relation_extraction import ACROSS_WINDOWS, TOO_MANY_RELATIONS, TOO_MANY_SPANS
from nlp_inference.tasks.text_generation import NOT_RESTORED, TOO_LONG
from nlp_inference.tasks.units import (
    BEYOND_WINDOW,
    IN_NO_WINDOW,
    MERGED,
    SUBWORD_DIVIDED,
    WHITE_SPACE_EDGE,
    WORD_DIVIDED,
)
from nlp_training.data import InvalidDataError
from nlp_training.data_report.findings import percent
from nlp_training.data_report.lost_gold import LostGold
from nlp_training.data_report.split_measures import SplitMeasures
from nlp_training.gold.base import UNKNOWN_LABEL
from nlp_training.gold.spans import OVERLAPS

_SHOWN = 3

_ADVICE: Mapping[str, str] = {
    WORD_DIVIDED: (
        "annotate complete words, set words of the task to unicode if it is another value, or set aggregation: none"
    ),
    SUBWORD_DIVIDED: "choose a base model with another tokenizer, or annotate what its tokens cover",
    UNREAD: "annotate complete words, or choose a base model whose tokenizer has a token for it",
    WHITE_SPACE_EDGE: "trim the annotation",
    OVERLAPS: "choose the task span-classification",
    f"{MERGED} IO": "choose the scheme BIO",
    BEYOND_WINDOW: "set windows.on_overflow to split",
    TOO_LONG: "increase max_new_tokens of the task",
    NOT_RESTORED: (
        "write targets as the tokenizer does (letter case, white space, characters of its vocabulary), or choose a "
        "base model with another tokenizer"
    ),
    IN_NO_WINDOW: "increase windows.max_length or windows.overlap",
    ACROSS_WINDOWS: "increase windows.max_length or windows.overlap",
    TOO_MANY_SPANS: "increase max_spans of the task",
    TOO_MANY_RELATIONS: "increase max_relations or max_per_head of the task",
    UNKNOWN_LABEL: "add the label to the task, or examples to the training data",
}


def lost_too_much(measures: SplitMeasures, limit: float) -> bool:
    """Return whether more than the share `limit` of the gold of a split cannot be predicted by any model."""
    return len(measures.lost) > limit * measures.annotations


def advice_on(lost: list[LostGold]) -> str:
    """Return advice for the most frequent cause."""
    most = max((one.cause for one in lost), key=[one.cause for one in lost].count)
    usual = "change the settings of the named transform" if " by " in most else "see docs/check_data.md"
    return f"for {most!r}: {_ADVICE.get(most, usual)}"


def refuse_failed(split: str, measures: SplitMeasures) -> None:
    """Raise an error before training if documents cannot be encoded, or the task cannot learn from them.

    Raises:
        InvalidDataError: there are such documents; the message names some of them.
    """
    failed = measures.failed
    if failed.count:
        listed = "".join(f"\n- {one}" for one in failed.examples)
        raise InvalidDataError(
            f"{split}: {failed.count} of {measures.documents + failed.count} documents cannot be trained on:{listed}"
        )


def refuse_lost_gold(split: str, measures: SplitMeasures, *, limit: float) -> None:
    """Raise an error before training if too much of the gold cannot be predicted by any model.

    Args:
        split: the name of the split.
        measures: the measures of its documents.
        limit: the share of gold that may be lost, `data.max_lost_gold`.

    Raises:
        InvalidDataError: more gold is lost; the message has counts, causes, examples, and what to change.
    """
    if not lost_too_much(measures, limit):
        return
    lost = len(measures.lost)
    causes = ", ".join(f"{cause} {count}" for cause, count in measures.lost_by_cause().items())
    examples = "".join(f"\n  {one}" for one in measures.lost[:_SHOWN])
    raise InvalidDataError(
        f"{split}: {lost} of {measures.annotations} gold annotations ({percent(lost, measures.annotations)}) cannot be "
        f"predicted by any model of this task ({causes}); data.max_lost_gold allows {percent_of(limit)}. "
        f"{advice_on(measures.lost)}. nlp-training check-data lists all of them; to train anyway, increase "
        f"data.max_lost_gold.{examples}"
    )


def percent_of(share: float) -> str:
    """Format a share as a percentage.

    Example:

        '10 %'
    """
    return f"{100 * share:g} %"
