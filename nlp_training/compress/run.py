"""The compression of a trained model: students are trained, exported, scored and measured, and one is chosen."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_inference import Document
from nlp_inference._utils.atomic_files import write_atomically
from nlp_inference._utils.locks import exclusive_lock
from nlp_inference.errors import InvalidSpecError, OutputError, VerificationError
from nlp_training._utils.replacing import replacing_folder
from nlp_training.artefact.folder import SETTINGS_FILE
from nlp_training.compress.candidates import Candidate, Reference, export_candidate, load_candidate, teacher_variant
from nlp_training.compress.choice import Choice, choose, usable
from nlp_training.compress.measuring import Artefact, measure
from nlp_training.compress.options import CompressOptions, StudentPlan, Variant, plan_students, plan_variants
from nlp_training.compress.page import write_page
from nlp_training.compress.record import add_to_card, write_record
from nlp_training.compress.tables import candidate_tables, choice_lines, interval_text, plan_table
from nlp_training.compress.teacher import CompressData, CompressTeacher
from nlp_training.compress.time_left import TimeLeft
from nlp_training.compress.training import artefact_config, train_student
from nlp_training.compress.vocabulary import trim_artefact
from nlp_training.data.formats import write_jsonl

PLAN_FILE = "plan.json"
_LOCK_FILE = ".lock"
_FREE = ("max_drop", "rounds")
"""Options that a resumed compression may change."""


@dataclass
class Compression:
    """The result of a compression.

    Attributes:
        source: the name of the teacher.
        students: the students, the largest first.
        variants: the backends and precisions of each.
        options: what the user stated.
        candidates: the teacher in float32, and every student and the teacher in each variant.
        choice: the chosen one; `None` for a dry run.
        model: the folder of the chosen artefact; `None` for a dry run, or if no candidate is verified.
        documents: the number of documents for training, with gold, deciding, and of each test set.
        is_agreement: whether scores are the agreement with the teacher, because there is no gold.
        notes: what a user should know.
    """

    source: str
    students: list[StudentPlan]
    variants: list[Variant]
    options: CompressOptions
    candidates: list[Candidate] = field(default_factory=list)
    choice: Choice | None = None
    model: Path | None = None
    documents: dict[str, int] = field(default_factory=dict)
    is_agreement: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def teacher(self) -> Candidate | None:
        """The uncompressed teacher in float32."""
        variant = teacher_variant()
        return next((one for one in self.candidates if one.is_teacher and one.backend == variant.backend), None)


def compress(  # noqa: PLR0913 - one argument for each choice
    source: str | Path,
    out: str | Path | None = None,
    *,
    options: CompressOptions | None = None,
    data: str | Mapping[str, Any] | None = None,
    texts: str | Mapping[str, Any] | None = None,
    dry_run: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> Compression:
    """Make a trained model smaller and faster, and choose the fastest candidate that is good enough.

    Args:
        source: the folder of a run, or of an artefact.
        out: the folder to write; `{source}-compressed` by default.
        options: what differs from the defaults.
        data: documents with gold, instead of those of the run.
        texts: documents without gold, which the teacher labels.
        dry_run: whether only the plan is printed.
        resume: whether to continue the compression in `out`.
        overwrite: whether to replace it.
        console: the console for progress and tables.

    Raises:
        ArtefactError: there is no model, or it is damaged.
        InvalidSpecError: an option is invalid, or the model cannot be cut.
        InvalidDataError: there are no documents, or they are invalid.
        OutputError: `out` exists, and neither `resume` nor `overwrite` is true.
        InterruptedRunError: a training was interrupted; it can be resumed.
    """
    console, options = console or Console(), options or CompressOptions()
    teacher = CompressTeacher.load(source)
    task = teacher.processor.task
    found = Compression(
        _name_of(source),
        plan_students(teacher.stacks, options),
        plan_variants(options, exportable=task.not_exportable is None),
        options,
        notes=list(_notes(teacher)),
    )
    console.print(plan_table(found, teacher.stacks), *found.notes)
    if dry_run:
        return found
    work = Path(out) if out is not None else _default_out(source)
    with _work_folder(work, source, options, resume=resume, overwrite=overwrite):
        documents = teacher.documents(data, texts, seed=options.seed)
        found.documents, found.is_agreement = _counts(documents), documents.is_agreement
        _Compressing(found, teacher, documents, work, console).run()
    return found


def _name_of(source: str | Path) -> str:
    path = Path(source).resolve()
    return path.parent.name if path.name == "model" else path.name


def _default_out(source: str | Path) -> Path:
    path = Path(source)
    run = path.parent if path.name == "model" else path
    return run.with_name(f"{run.resolve().name}-compressed")


def _counts(documents: CompressData) -> dict[str, int]:
    return {
        "train": len(documents.train),
        "with gold": documents.labelled,
        "validation": len(documents.validation),
        **{name: len(one) for name, one in documents.test.items()},
    }


def _notes(teacher: CompressTeacher) -> Iterator[str]:
    task = teacher.processor.task
    if len(teacher.stacks) > 1:
        yield "the layers of the encoder and of the decoder are cut; --layers counts those of the encoder"
    if task.not_exportable is not None:
        yield f"a model of the task {task.name!r} {task.not_exportable}; students are measured in float32"


@contextmanager
def _work_folder(
    work: Path, source: str | Path, options: CompressOptions, *, resume: bool, overwrite: bool
) -> Iterator[None]:
    """Lock the folder, and check that nothing is lost.

    Raises:
        InvalidSpecError: the compression to resume has other options.
        OutputError: the folder exists.
    """
    plan = json.loads(json.dumps({"source": str(source), **asdict(options)}))
    if resume and overwrite:
        raise InvalidSpecError("resume continues a compression and overwrite replaces it; use only one of them")
    if work.exists() and any(work.iterdir()) and not resume and not overwrite:
        raise OutputError(
            f"{str(work)!r} exists; pass --resume to continue it, --overwrite to replace it, or choose another folder"
        )
    if overwrite:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(work / _LOCK_FILE, purpose="compression"):
        path = work / PLAN_FILE
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else plan
        changed = sorted(key for key in plan if key not in _FREE and plan[key] != before.get(key))
        if changed:
            raise InvalidSpecError(
                f"{str(work)!r} was begun with {changed[0]} {before.get(changed[0])!r}, not {plan[changed[0]]!r}; "
                "resume with the same options, or pass --overwrite"
            )
        write_atomically(path, json.dumps(plan, indent=2) + "\n")
        yield


class _Compressing:
    """The steps of a compression, each of which is skipped if its result exists."""

    def __init__(
        self, found: Compression, teacher: CompressTeacher, documents: CompressData, work: Path, console: Console
    ) -> None:
        self.found, self.teacher, self.documents, self.work, self.console = found, teacher, documents, work, console
        self.reference: Reference | None = None
        self.artefacts: dict[str, Artefact] = {}
        self.data: dict[str, Any] = {}

    def run(self) -> None:
        """Train, export, score and measure all candidates, choose one, and write the results."""
        found, work = self.found, self.work
        self.data = self._write_data()
        layers = sum(self.teacher.stacks.values())
        left = TimeLeft([sum(map(len, one.layers.values())) / layers for one in found.students], len(found.variants))
        for number, one in enumerate(found.students, start=1):
            self.console.rule(f"student {number} of {len(found.students)}: {one.name}{left.text()}", align="left")
            with left.training(number - 1):
                model = train_student(
                    one,
                    self.teacher,
                    self.documents.train,
                    found.options,
                    work=work,
                    data=self.data,
                    console=self.console,
                )
            if found.options.trim_vocabulary:
                model = self._trimmed(one, model)
            with left.scoring():
                counts = {name: len(kept) for name, kept in one.layers.items()}
                self._score(one.name, model, found.variants, counts, one.width)
        self._score("", self.teacher.folder, [teacher_variant(), *found.variants], self.teacher.stacks, None)
        self._measure()
        found.choice = choose(found.candidates, max_drop=found.options.max_drop)
        self._keep_chosen()
        write_record(found, work)
        self.console.print(*candidate_tables(found), *choice_lines(found))
        page = write_page(found, work)
        self.console.print(f"[bold]page[/bold] {page.resolve().as_uri()}", soft_wrap=True)

    def _write_data(self) -> dict[str, Any]:
        """Write the documents, and return the section `data` of the configuration of students."""
        folder = self.work / "data"
        folder.mkdir(exist_ok=True)
        sets = {"train": self.documents.train, "validation": self.documents.validation, **self.documents.test}
        for name, documents in sets.items():
            if not (folder / f"{name}.jsonl").is_file():
                write_jsonl(documents, folder / f"{name}.jsonl")
        paths = {name: str(folder / f"{name}.jsonl") for name in sets}
        tests = {name: paths[name] for name in self.documents.test}
        return {"train": paths["train"], "validation": paths["validation"], "test": tests, "max_lost_gold": 1.0}

    def _score(
        self, student: str, model: Path, variants: Sequence[Variant], layers: Mapping[str, int], width: int | None
    ) -> None:
        """Export, verify and score a student in each variant."""
        for variant in variants:
            made = Candidate(
                student=student,
                backend=variant.backend,
                dtype=variant.dtype,
                int8_mode=variant.int8_mode,
                layers=dict(layers),
                width=width,
            )
            if any(one.name == made.name for one in self.found.candidates):
                continue
            path = self.work / "candidates" / f"{made.name}.json"
            if path.is_file():
                kept = Candidate.model_validate_json(path.read_text(encoding="utf-8"))
            else:
                kept = self._scored(made, model, variant)
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, kept.model_dump_json(indent=2) + "\n")
            self.found.candidates.append(kept)
            if not kept.refused:
                self.artefacts[kept.name] = Artefact(Path(kept.folder), variant)
            self.console.print(f"  {kept.name}: {_verdict(kept)}", highlight=False, soft_wrap=True)

    def _scored(self, made: Candidate, model: Path, variant: Variant) -> Candidate:
        if self.reference is None:
            sets = {"validation": self.documents.validation, **self.documents.test}
            self.reference = Reference(self.teacher.predictor, sets)
        config = artefact_config(self.teacher, self.data, base=model) if made.is_teacher else None
        if variant == teacher_variant() and made.is_teacher:
            scores = self.reference.own_scores()
            return made.model_copy(
                update={"folder": str(model), "validation": scores.pop("validation"), "test": scores}
            )
        folder, refused = export_candidate(model, variant, self.work / "artefacts" / made.name, config=config)
        if folder is None:
            return made.model_copy(update={"refused": refused})
        try:
            predictor = load_candidate(folder, variant)
        except VerificationError as error:
            return made.model_copy(update={"refused": str(error)})
        with predictor:
            scores = self.reference.score(predictor)
        validation = scores.pop("validation")
        return made.model_copy(update={"folder": str(folder), "validation": validation, "test": scores})

    def _trimmed(self, plan: StudentPlan, model: Path) -> Path:
        """Return the artefact of a student with a smaller vocabulary."""
        target = self.work / "trimmed" / plan.name
        if not (target / SETTINGS_FILE).is_file():
            trim_artefact(model, [*self.documents.train, *self.documents.validation], target)
        return target

    def _measure(self) -> None:
        """Measure all candidates together, so that they meet the same load."""
        missing = [one for one in self.found.candidates if one.measured is None and not one.refused]
        if not missing:
            return
        self.console.rule("speed and size", align="left")
        task = self.teacher.processor.task
        pool: list[Document] = [task.as_input(one) for one in self.documents.validation]
        documents = list(islice(cycle(pool), self.found.options.measured))
        results = dict(measure(self.artefacts, documents, rounds=self.found.options.rounds))
        for index, one in enumerate(self.found.candidates):
            if one.name in results:
                kept = one.model_copy(update={"measured": results[one.name]})
                self.found.candidates[index] = kept
                write_atomically(self.work / "candidates" / f"{one.name}.json", kept.model_dump_json(indent=2) + "\n")

    def _keep_chosen(self) -> None:
        """Copy the chosen artefact to the folder `model`, with the compression in its card."""
        choice = self.found.choice
        if choice is None or choice.candidate is None or not usable([choice.candidate]):
            return
        target = self.work / "model"
        with replacing_folder(target) as folder:
            shutil.copytree(choice.candidate.folder, folder, dirs_exist_ok=True)
            add_to_card(self.found, folder)
        self.found.model = target


def _verdict(one: Candidate) -> str:
    if one.refused or one.validation is None:
        return f"refused: {one.refused}"
    found = one.validation
    between = "" if found.interval is None else f" ({interval_text(found)})"
    return f"{found.name} {found.value:.4f}, {found.change:+.2f} points{between}"
