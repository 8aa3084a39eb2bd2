"""`run.json`: what a run was made of, and what came out of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, model_validator

from nlp_inference._utils.atomic_files import write_whole
from nlp_inference.errors import ArtefactError
from nlp_inference.registry import explain

MANIFEST_FILE = "run.json"
CONFIG_FILE = "config.yaml"
ENVIRONMENT_FILE = "environment.txt"
DIFF_FILE = "code.diff"
Status = Literal["running", "finished", "interrupted", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Checkout(_Part):
    """A git checkout.

    Args:
        commit: of its HEAD.
        dirty: whether tracked files differed from the commit, or there were untracked ones; `code.diff` says which.
    """

    commit: str
    dirty: bool


class CodeState(_Part):
    """Where this library's code came from.

    Args:
        version: of this library.
        checkout: the one it was in; `None` if it was an installed package.
    """

    version: str
    checkout: Checkout | None = None

    @property
    def source(self) -> Literal["git", "package"]:
        """Whether it was in a git checkout, or installed."""
        return "package" if self.checkout is None else "git"

    @property
    def commit(self) -> str | None:
        """Of the checkout."""
        return None if self.checkout is None else self.checkout.commit

    @property
    def dirty(self) -> bool | None:
        """Whether the checkout had changes."""
        return None if self.checkout is None else self.checkout.dirty


class Hardware(_Part):
    """What a run was computed on.

    Args:
        system: operating system and architecture, such as `Linux x86_64`.
        cpu: the model's name.
        vector: the instructions that PyTorch's kernels took, such as `AVX512`; others add in another order.
        cores: that the process might use.
        threads: that it did use; another number adds in another order.
        memory_bytes: of the machine, where that can be asked.
        accelerators: names of the devices.
    """

    system: str
    cpu: str
    vector: str
    cores: int
    threads: int
    memory_bytes: int | None = None
    accelerators: tuple[str, ...] = ()


class DataPrint(_Part):
    """What identifies the documents of a split: a digest, or a commit of the Hub.

    Args:
        sha256: `documents_sha256` of them. If they are streamed, of the files that they are in, or of what they are
            made up from.
        documents: how many; of those that are streamed nobody counted them.
        commit: of the data set of the Hub that they are streamed from, in place of a digest.

    Example:
        >>> DataPrint(documents=2, sha256="ab").identity, DataPrint(commit="cd").identity
        (('sha256', 'ab'), ('commit', 'cd'))
    """

    sha256: str | None = None
    documents: int | None = None
    commit: str | None = None

    @model_validator(mode="after")
    def _has_one_identity(self) -> Self:
        if (self.sha256 is None) == (self.commit is None):
            raise ValueError("give either a sha256 or a commit")
        return self

    @property
    def identity(self) -> tuple[str, str]:
        """What it is, and its digits."""
        return ("sha256", self.sha256) if self.sha256 is not None else ("commit", self.commit or "")


class Resumption(_Part):
    """That a run which had been stopped went on: when, and from which step (0: anew)."""

    at: AwareDatetime
    step: int


class Replay(_Part):
    """What came of replaying the golden records of the finished model, loaded as production loads it.

    Args:
        records: how many were replayed, each alone and all in batches.
        bit_for_bit: how many gave the same numbers, to the last bit.
        failing: how many texts fail as they did when they were recorded.
        differing: how many do not predict what was recorded.
        first: the difference at the earliest stage.
        rows_apart: whether rows run one at a time because the outputs of the model depend on padding.
    """

    records: int
    bit_for_bit: int
    failing: int = 0
    differing: int = 0
    first: str | None = None
    rows_apart: bool = False

    @property
    def ok(self) -> bool:
        """Whether every record predicts what was recorded."""
        return not self.differing


class RunManifest(_Part):
    """A run, from its beginning on: `{output_dir}/{name}/run.json`.

    Times are UTC. Digests are SHA-256 in hexadecimal. What is only known at the end is `None` or empty until then.

    Args:
        schema_version: of this form.
        id: of the run, the same after it went on from a checkpoint.
        name: of its configuration.
        status: `running` of a run that was killed, too; `interrupted` of one that was stopped by Ctrl-C or a signal
            that it could react to.
        error: what ended a failed or interrupted run, in a line.
        started_at: when its training was about to begin.
        ended_at: when it finished or failed.
        resumed: when it went on after it had been stopped.
        from_checkpoint: name of the checkpoint that `training.resume_from_checkpoint` began with, if any; another
            configuration may have trained it.
        command: the words of its command line; folders outside the working directory are left out.
        python: version of Python.
        packages: versions of the packages that compute and read; `environment.txt` has them all.
        code: where this library's code came from.
        project: the git checkout that the run was started in, if that is another one.
        hardware: of the main process.
        environment: the variables that decide how PyTorch computes, as far as they were set; no others.
        world_size: processes.
        seed: of everything random.
        data: what identifies the documents of each split; not there of a stream of which nothing does.
        modules: digests of the files of the user that `modules` names, and of those that they import; copies are in
            `code.modules`.
        initial_weights: digest of the weights that training began with, the random ones of the head among them.
        processor: digest of everything that decides a prediction beside the weights and the installed packages.
        weights: digest of each file of the final weights, by name.
        metrics: digest of the final scores.
        verification: what came of replaying the golden records of the final model.

    Example:
        >>> RunManifest.model_fields["status"].annotation == Status
        True
    """

    schema_version: Literal[1] = 1
    id: str
    name: str
    status: Status
    error: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    resumed: tuple[Resumption, ...] = ()
    from_checkpoint: str | None = None
    command: tuple[str, ...]
    python: str
    packages: Mapping[str, str]
    code: CodeState
    project: Checkout | None = None
    hardware: Hardware
    environment: Mapping[str, str] = {}
    world_size: int
    seed: int
    data: Mapping[str, DataPrint]
    modules: Mapping[str, str] = {}
    initial_weights: str
    processor: str | None = None
    weights: Mapping[str, str] = {}
    metrics: str | None = None
    verification: Replay | None = None

    @property
    def seconds(self) -> float | None:
        """From beginning to end, pauses before resuming included; `None` until it ended."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the manifest of a run.

        Args:
            folder: of the run.

        Raises:
            ArtefactError: there is none, or it is damaged.
        """
        path = Path(folder) / MANIFEST_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ArtefactError(
                f"{str(folder)!r} has no {MANIFEST_FILE}; give the folder of a run, such as runs/quickstart"
            ) from error
        except OSError as error:
            raise ArtefactError(f"{str(path)!r} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ArtefactError(f"{str(path)!r} is no manifest of a run: {explain(error, cls)}") from error

    def save(self, folder: str | Path) -> None:
        """Write the manifest; an earlier one is replaced whole or not at all."""
        write_whole(Path(folder) / MANIFEST_FILE, self.model_dump_json(indent=2, exclude_none=True) + "\n")
