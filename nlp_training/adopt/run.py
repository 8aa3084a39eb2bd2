"""The adoption of a stock checkpoint: plan, settings, comparison, and the verified artefact."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_inference import Document, Predictor
from nlp_inference._utils import terminal
from nlp_inference.backends.padding import PaddingWarning
from nlp_inference.backends.torch import TorchBackend
from nlp_inference.drift.profile import PROFILE_FILE
from nlp_inference.errors import OutputError, VerificationError
from nlp_inference.golden import select_documents
from nlp_inference.golden.schema import Origin
from nlp_inference.hub import PROCESSOR_NEEDS
from nlp_training._utils.replacing import replacing_folder
from nlp_training.adopt.comparison import Comparison, compare_with_stock, score_both
from nlp_training.adopt.effect import Effect, effect_of
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.page import write_page
from nlp_training.adopt.plan import Plan, make_plan
from nlp_training.adopt.record import RECORD_FILE, adopted_config, record_of
from nlp_training.adopt.tables import comparison_tables, deduction_table, effect_lines, trial_tables, tuned_lines
from nlp_training.adopt.texts import built_in_texts
from nlp_training.adopt.tuning import Tuned, check_same_kind, halves, tune
from nlp_training.artefact.input_profile import training_profile
from nlp_training.artefact.model_card import CardSource, card_of
from nlp_training.artefact.save import DataReport, save_model, write_json, write_scores
from nlp_training.artefact.verification import replay_golden, replay_lines
from nlp_training.config import save_config
from nlp_training.data import check_documents, load_documents
from nlp_training.data.errors import InvalidDataError
from nlp_training.data_report.measure import measure_split
from nlp_training.provenance.manifest import Replay

COMPARED = 200
"""At most this many texts are compared with the stock way of using the model."""

GOLDEN_RECORDS = 32
_OWN_CHARACTERS = 100_000


@dataclass
class Adoption:
    """The result of an adoption.

    Attributes:
        plan: what was deduced.
        comparison: with the stock way of using the model.
        tuned: settings that were chosen on data; `None` without data.
        effect: of added preprocessing; `None` without any.
        model: the folder of the artefact; `None` for a dry run.
        verification: the replay of its golden records.
        report: the measures of the data.
        is_built_in: whether the compared texts are built-in ones.
    """

    plan: Plan
    comparison: Comparison
    tuned: Tuned | None = None
    effect: Effect | None = None
    model: Path | None = None
    verification: Replay | None = None
    report: DataReport = field(default_factory=dict)
    is_built_in: bool = False

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """The scores by data set, for `metrics.json`."""
        if self.tuned is None:
            return {}
        is_fitted = self.tuned.same_documents and self.tuned.fitted
        return {"validation": {**self.tuned.after, **({"fitted": self.tuned.fitted} if is_fitted else {})}}


@dataclass(frozen=True)
class _Texts:
    """The documents of an adoption: with gold to choose settings on and to score, and others to compare and record."""

    chosen_on: Sequence[Document]
    scored: Sequence[Document]
    given: Sequence[Document]


def adopt(
    source: str,
    out: str | Path,
    *,
    options: AdoptOptions | None = None,
    data: str | Mapping[str, Any] | None = None,
    texts: str | Mapping[str, Any] | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> Adoption:
    """Turn a stock checkpoint of transformers into a verified artefact, without training.

    Args:
        source: a folder, a Hub id, or `package:NAME/FOLDER`.
        out: the folder of the artefact.
        options: what is stated rather than deduced.
        data: documents with gold to choose settings on and to score: a path, or the keys of a data source.
        texts: other documents to compare and to record; their texts are published with the model.
        dry_run: whether nothing is written.
        overwrite: whether an existing folder is replaced.
        console: the console for tables.

    Raises:
        AmbiguousModelError: something cannot be deduced; the message names the option that states it.
        UnsupportedModelError: the model cannot be adopted.
        ArtefactError: there is no such model, or it is damaged.
        InvalidDataError: the documents are invalid.
        OutputError: `out` exists.
        VerificationError: the artefact does not repeat its golden records.
    """
    console, options, out = console or terminal.Console(), options or AdoptOptions(), Path(out)
    if not dry_run:
        _check_free(out, overwrite=overwrite)
    given = _load(data, texts, options)
    plan = make_plan(source, options, cache(lambda: _measuring_texts(given)))
    console.print(deduction_table(plan.deductions))
    questions = plan.task.pair_position == "first"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PaddingWarning)  # the verification reports it
        found, predictor = _compare(plan, given, options, built_in=_built_in(plan, questions=questions))
    console.print(*_tables(found), sep="\n")
    if not dry_run:
        found.model = out
        replay = _save(found, out, predictor, given, options, data=data)
        for line in replay_lines(replay, out):
            console.print(line, soft_wrap=True)
        console.print(f"[bold]model[/bold] {out}", f"[bold]page[/bold] {(out / 'adopt.html').resolve().as_uri()}")
    return found


def _check_free(out: Path, *, overwrite: bool) -> None:
    """Check that the folder of the artefact can be written or replaced.

    Raises:
        OutputError: it is a file, it exists, or it is no artefact, so that other files would be lost.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{str(out)!r} is a file; choose a folder for the artefact")
    if not out.exists() or not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError(f"{str(out)!r} exists; choose another folder, or pass --overwrite (overwrite=True)")
    if not (out / PROCESSOR_NEEDS[0]).is_file():
        raise OutputError(
            f"{str(out)!r} contains other files than a model, such as {next(out.iterdir()).name!r}, which would be "
            "lost; choose another folder, or empty this one"
        )


def _load(data: Any, texts: Any, options: AdoptOptions) -> _Texts:
    own = [] if texts is None else load_documents(texts, default_split="train")
    if data is None:
        return _Texts((), (), own)
    documents = load_documents(data, default_split="train")
    if not any(one.gold is not None for one in documents):
        raise InvalidDataError("no document of --data has gold; give texts without gold with --texts")
    chosen_on, scored = halves(documents, seed=options.seed)
    return _Texts(chosen_on, scored, own)


def _measuring_texts(given: _Texts) -> list[Document]:
    """Return the documents that measure what nothing states: those of the user, and built-in ones."""
    built_in = built_in_texts(pairs=False, questions=False) + built_in_texts(pairs=True, questions=False)
    return [*given.chosen_on, *given.given, *built_in]


def _built_in(plan: Plan, *, questions: bool) -> list[Document]:
    return built_in_texts(pairs=plan.head.pairs, questions=questions)


def _compare(
    plan: Plan, given: _Texts, options: AdoptOptions, *, built_in: list[Document]
) -> tuple[Adoption, Predictor]:
    """Choose settings, and compare predictions."""
    predictor = Predictor(plan.processor, TorchBackend(plan.model, task=plan.task))
    tuned = None
    if given.scored:
        task = plan.task
        check_documents(
            {"validation": given.scored}, flat=task.flat, needs=task.needs, task_problem=task.gold_problem, train=""
        )
        check_same_kind(plan.processor, given.scored)
        keep = [*options.settings, *(["window"] if options.max_length is not None else [])]
        without = plan.without_preprocessing(plan.processor) if options.preprocess else None
        tuned = tune(predictor, given.chosen_on, given.scored, keep=keep, seed=options.seed, without=without)
        predictor = predictor.with_processor(tuned.processor)
    as_input = plan.task.as_input
    documents = [as_input(one) for one in (*given.scored, *given.given)][:COMPARED]
    compared = documents or built_in
    comparison = compare_with_stock(plan, predictor, compared)
    if given.scored:
        golds = [plan.task.complete_gold(one.gold) for one in given.scored[:COMPARED] if one.gold is not None]
        comparison.scores = score_both(comparison, golds, needs=plan.task.needs)
    effect = effect_of(plan, predictor, compared) if options.preprocess else None
    return Adoption(plan, comparison, tuned, effect, is_built_in=not documents), predictor


def _tables(found: Adoption) -> list[Any]:
    tables: list[Any] = []
    if found.tuned is not None:
        tables += [*trial_tables(found.tuned), *tuned_lines(found.tuned)]
    return [
        *tables,
        *comparison_tables(found.comparison),
        *([] if found.effect is None else effect_lines(found.effect)),
    ]


def _save(
    found: Adoption, out: Path, predictor: Predictor, given: _Texts, options: AdoptOptions, *, data: Any
) -> Replay:
    """Write the artefact, verify it, and only then put it in its place; return the verification.

    Raises:
        VerificationError: it does not repeat its golden records.
    """
    plan = found.plan
    processor = copy.copy(predictor.processor)
    config = None if data is None else adopted_config(plan, processor, out, data, options, tuned=found.tuned)
    if found.tuned is not None:
        found.report = {"validation": measure_split(processor, given.scored)}
    with replacing_folder(out) as folder:
        plan.model.config.update(plan.task.model_settings())
        save_model(folder, plan.model, processor, _golden(found, given, predictor, options))
        profiled = [*given.chosen_on, *given.given]
        if profiled:
            with Predictor(processor, predictor.backend) as fresh:
                training_profile(fresh, profiled, seed=options.seed).save(folder / PROFILE_FILE)
        if config is not None:
            save_config(config, folder / "training.yaml")
            write_scores(folder, found.metrics, found.report)
        card = CardSource(
            out.name,
            plan.stock.source,
            None if config is None else config.data,
            is_adopted=True,
            commit=plan.stock.commit,
            pairs=plan.head.pairs,
        )
        (folder / "README.md").write_text(card_of(card, processor, found.metrics, found.report), encoding="utf-8")
        write_json(folder / RECORD_FILE, record_of(found, options))
        replay = found.verification = replay_golden(folder)
        if not replay.ok:
            raise VerificationError(f"{replay.summary(out)}; nothing was written")
        write_page(found, folder)
    return replay


def _golden(
    found: Adoption, given: _Texts, predictor: Predictor, options: AdoptOptions
) -> dict[Origin, list[Document]]:
    """Return the documents to record: of the data, of the user's texts, or built-in ones, and the difficult ones."""
    compared = found.comparison.texts if found.is_built_in else []
    own = [text.document.unannotated() for text in compared if not text.error]
    characters = 0
    for document in given.given:
        characters += len(document.raw_text) + len(document.raw_text_pair or "")
        if len(own) < GOLDEN_RECORDS and characters <= _OWN_CHARACTERS:
            own.append(document.unannotated())
    return select_documents(given.scored, predictor.processor, records=GOLDEN_RECORDS, seed=options.seed, own=own)
