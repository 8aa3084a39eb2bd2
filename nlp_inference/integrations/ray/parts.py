"""The output folder of a job: `part-00000.jsonl` … and, when the job is complete, `_SUCCESS`.

A part is written under a temporary name and renamed when it is complete, and a shard is done when its report exists.
Both names depend on the shard only, so a shard has one part even if two machines predict it because one was assumed to
be dead. `_SUCCESS` is written last; without it, the folder is incomplete.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar
from uuid import uuid4

from fsspec.core import url_to_fs
from pydantic import BaseModel, ConfigDict, ValidationError

from nlp_inference.document import Document, FailedDocument
from nlp_inference.document.offsets import OffsetUnit
from nlp_inference.errors import JobError, OutputError
from nlp_inference.files.formats import FileFormat
from nlp_inference.files.parquet import PartsFolder
from nlp_inference.files.writing import LinesFile, ResultFile
from nlp_inference.integrations.ray.plan import Plan, Shard

PLAN, SUCCESS = "_plan.json", "_SUCCESS"
_DONE, _TRIED, _UNFINISHED = "_done", "_tried", "_unfinished"
_JOB_FILES = (PLAN, SUCCESS, _DONE, _TRIED, _UNFINISHED)

M = TypeVar("M", bound=BaseModel)


class ShardReport(BaseModel):
    """The result of a shard.

    Args:
        shard: its number.
        records: number of records, including those of failed documents.
        failed: number of failed documents.
        begin, end: the range that was read, in the unit of the shard; complete lines for a file of lines.
        parts: names of the files with its records, in order.
        error: the reason why it could not be read or predicted completely; then there are no parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard: int
    records: int = 0
    failed: int = 0
    begin: int = 0
    end: int = 0
    parts: tuple[str, ...] = ()
    error: str | None = None


class Summary(BaseModel):
    """The summary of a complete job, which is the content of `_SUCCESS`.

    Args:
        records: number of records, including those of failed documents.
        failed: number of failed documents.
        parts: number of part files.
        shards: number of shards.
        resumed: number of shards that an earlier run completed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    records: int
    failed: int
    parts: int
    shards: int
    resumed: int = 0


class PartFiles:
    """A folder of parts, on any file system that fsspec knows.

    Args:
        output: the folder, such as `s3://bucket/found`.
        file_format: of the parts.
        offsets: the unit of the offsets in them.
    """

    def __init__(self, output: str, *, file_format: FileFormat, offsets: OffsetUnit = "codepoint") -> None:
        self.output, self.file_format = output, file_format
        self.offsets: OffsetUnit = offsets
        self._system, self._root = url_to_fs(output)

    def begin(self, plan: Plan, *, resume: bool, overwrite: bool) -> Plan:
        """Prepare the folder and return the plan, which is that of the earlier run if it is resumed.

        Raises:
            OutputError: the folder has contents that must not be replaced, or was started with another plan.
        """
        names = self._names()
        if resume and names:
            saved = self._same(plan, names)
            self._remove(_TRIED)
            return saved
        if names and not overwrite:
            raise OutputError(f"{self.output!r} is not empty; resume it with --resume, or replace it with --overwrite")
        other = sorted(name for name in names if name not in _JOB_FILES and not name.startswith("part-"))
        if other:
            raise OutputError(
                f"the folder {self.output!r} contains other files than predictions, such as {other[0]!r}; write to "
                "another folder"
            )
        for name in sorted(names, key=lambda name: name != SUCCESS):  # removing SUCCESS first marks it incomplete
            self._remove(name)
        self._write(PLAN, plan)
        return plan

    def done(self) -> dict[int, ShardReport]:
        """Return the reports of the shards that are done, by their numbers."""
        with suppress(FileNotFoundError):
            paths = self._system.ls(self._path(_DONE), detail=False, refresh=True)
            reports = [self._read(f"{_DONE}/{PurePosixPath(path).name}", ShardReport) for path in sorted(paths)]
            return {report.shard: report for report in reports}
        return {}

    def try_once_more(self, shard: Shard) -> int:
        """Record that a shard is started and return how often it was in this run; a killed actor starts it again."""
        self._write(f"{_TRIED}/{shard.number:06}-{uuid4().hex}.json", shard)
        return len(self._system.glob(self._path(f"{_TRIED}/{shard.number:06}-*")))

    def write(self, shard: Shard, results: Iterable[Document | FailedDocument]) -> ShardReport:
        """Write the records of a shard; the caller completes the range of the report and calls `finish`.

        Raises:
            OutputError: the parts cannot be written.
        """
        records = failed = 0
        with TemporaryDirectory() as folder:
            file = self._local_file(Path(folder))
            try:
                for result in results:
                    file.write(result)
                    records += 1
                    failed += isinstance(result, FailedDocument)
            except BaseException:
                file.close(failed=True)
                raise
            file.close(failed=False)
            written = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if records else []
            names = [self._part_name(shard, number, len(written)) for number in range(len(written))]
            for path, name in zip(written, names, strict=True):
                self._move_in(path, name)
        return ShardReport(shard=shard.number, records=records, failed=failed, parts=tuple(names))

    def finish(self, report: ShardReport) -> None:
        """Record that a shard is done."""
        self._write(f"{_DONE}/{report.shard:06}.json", report)

    def complete(self, plan: Plan, reports: Sequence[ShardReport], *, resumed: int) -> Summary:
        """Check that every document of the source has one record, and mark the folder as complete.

        Raises:
            JobError: a shard is missing or duplicated, a part of the source was read twice or not at all, or the folder
                contains other parts than were reported.
        """
        check_complete(plan, reports)
        parts = sorted(name for name in self._names() if name.startswith("part-"))
        reported = sorted(name for report in reports for name in report.parts)
        if parts != reported:
            unexpected = sorted(set(parts) ^ set(reported))
            raise JobError(
                f"{self.output!r} does not contain exactly the reported parts: {unexpected[:5]}; use --overwrite"
            )
        summary = Summary(
            records=sum(report.records for report in reports),
            failed=sum(report.failed for report in reports),
            parts=len(parts),
            shards=len(reports),
            resumed=resumed,
        )
        self._write(SUCCESS, summary)
        for name in (_UNFINISHED, _TRIED, _DONE, PLAN):
            self._remove(name)
        return summary

    def _same(self, plan: Plan, names: set[str]) -> Plan:
        if SUCCESS in names:
            raise OutputError(f"{self.output!r} is complete; to start again, pass --overwrite")
        if PLAN not in names:
            raise OutputError(f"{self.output!r} has no {PLAN}: no Ray job wrote it; write to another folder")
        saved = self._read(PLAN, Plan)
        size = {"shard_bytes", "shard_rows"}  # the saved sizes are used
        old, new = saved.model_dump(mode="json", exclude=size), plan.model_dump(mode="json", exclude=size)
        if changed := [name for name in old if old[name] != new[name]]:
            raise OutputError(
                f"{self.output!r} was started with other {', '.join(changed)}; resume it with the original settings, "
                "or start again with --overwrite"
            )
        return saved

    def _local_file(self, folder: Path) -> ResultFile:
        if self.file_format is FileFormat.PARQUET:
            return PartsFolder(folder / "parts", offsets=self.offsets)
        return LinesFile(folder / "part", file_format=self.file_format, offsets=self.offsets)

    def _part_name(self, shard: Shard, number: int, count: int) -> str:
        piece = f"-{number:03}" if count > 1 else ""
        return f"part-{shard.number:06}{piece}.{self.file_format.value}"

    def _move_in(self, path: Path, name: str) -> None:
        unfinished = self._path(f"{_UNFINISHED}/{uuid4().hex}-{PurePosixPath(name).name}")
        try:
            for path_of in (unfinished, self._path(name)):
                self._system.makedirs(path_of.rpartition("/")[0], exist_ok=True)
            self._system.put_file(os.fspath(path), unfinished)
            self._system.mv(unfinished, self._path(name))
        except OSError as error:
            raise OutputError(f"{self._path(name)!r} cannot be written: {error}") from error

    def _remove(self, name: str) -> None:
        if self._system.exists(self._path(name)):
            self._system.rm(self._path(name), recursive=True)

    def _names(self) -> set[str]:
        if not self._system.exists(self._root):
            return set()
        return {PurePosixPath(path).name for path in self._system.ls(self._root, detail=False, refresh=True)}

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _read(self, name: str, kind: type[M]) -> M:
        try:
            return kind.model_validate_json(self._system.cat_file(self._path(name)))
        except ValidationError as error:
            raise OutputError(f"{self._path(name)!r} is damaged; start again with --overwrite") from error

    def _write(self, name: str, content: BaseModel) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "content")
            path.write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")
            self._move_in(path, name)


def check_complete(plan: Plan, reports: Sequence[ShardReport]) -> None:
    """Check that the ranges that were read cover each file without gaps or overlaps.

    Args:
        plan: the plan of the job.
        reports: the reports in any order.

    Raises:
        JobError: a range is missing or overlaps, or a shard has no report.
    """
    shards, done = list(plan.shards()), sorted(reports, key=lambda report: report.shard)
    if [report.shard for report in done] != [shard.number for shard in shards]:
        missing = sorted({shard.number for shard in shards} - {report.shard for report in done})
        raise JobError(f"{len(done)} of {len(shards)} shards are done, {missing[:5]} are missing; use --resume")
    read_to: dict[str, int] = {}
    for shard, report in zip(shards, done, strict=True):
        expected = read_to.get(shard.file.path, 0)
        read_to[shard.file.path] = report.end
        last = shard.end == shard.file.size
        if report.begin != expected or (last and report.end != shard.file.size):
            raise JobError(
                f"{shard.file.path!r} was read from {report.begin} to {report.end}, expected {expected} to "
                f"{shard.end}; it changed while it was read: start again with --overwrite"
            )
