"""`run.json`: the manifest of a run with its inputs and results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, model_validator

from nlp_inference._utils.atomic_files import write_atomically
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
        commit: the commit of HEAD.
        dirty: whether there were changed or untracked files; `code.diff` contains them.
    """

    commit: str
    dirty: bool


class CodeState(_Part):
    """The state of this library's code.

    Args:
        version: the version of this library.
        checkout: the git checkout of this library; `None` if it was an installed package.
    """

    version: str
    checkout: Checkout | None = None

    @property
    def source(self) -> Literal["git", "package"]:
        """Whether the library was in a git checkout or installed."""
        return "package" if self.checkout is None else "git"

    @property
    def commit(self) -> str | None:
        """The commit of the checkout."""
        return None if self.checkout is None else self.checkout.commit

    @property
    def dirty(self) -> bool | None:
        """Whether the checkout had changes."""
        return None if self.checkout is None else self.checkout.dirty


class Hardware(_Part):
    """The hardware of a run.

    Args:
        system: the operating system and architecture, such as `Linux x86_64`.
        cpu: the name of the CPU model.
        vector: the vector instructions of PyTorch's kernels, such as `AVX512`, which determine the order of additions.
        cores: the number of cores that the process could use.
        threads: the number of threads that it used, which determines the order of additions.
        memory_bytes: the memory of the machine, if it is known.
        accelerators: the names of the devices.
    """

    system: str
    cpu: str
    vector: str
    cores: int
    threads: int
    memory_bytes: int | None = None
    accelerators: tuple[str, ...] = ()


class DataPrint(_Part):
    """The identity of the documents of a split: a digest, or a commit on the Hub.

    Args:
        sha256: the `documents_sha256`. For streamed documents, the digest of their files or of the arguments and code
            of their generator.
        documents: the number of documents; `None` for streamed documents.
        commit: the commit of the Hub data set of streamed documents, instead of a digest.

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
            raise ValueError("set either sha256 or commit")
        return self

    @property
    def identity(self) -> tuple[str, str]:
        """The kind of the identity, and its digits."""
        return ("sha256", self.sha256) if self.sha256 is not None else ("commit", self.commit or "")


class Resumption(_Part):
    """A resumption of a stopped run: its time and its step (0 means from the beginning)."""

    at: AwareDatetime
    step: int


class Replay(_Part):
    """The result of replaying the golden records of the finished model, loaded as in production.

    Args:
        records: the number of replayed records, each alone and all in batches.
        bit_for_bit: the number of records with bit-for-bit equal results.
        failing: the number of texts that fail with the recorded error.
        differing: the number of records with a different prediction.
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
        """Whether every record has the recorded prediction."""
        return not self.differing

    def summary(self, model: str | Path) -> str:
        """Return the result in one sentence.

        Args:
            model: the model, for the command that shows more.

        Example:
            >>> Replay(records=40, bit_for_bit=40).summary("model")
            'verified: 40 golden records, alone and in batches, 40 bit for bit'
        """
        if self.ok:
            failing = f"; {self.failing} fail with the recorded error" if self.failing else ""
            found = f"verified: {self.records} golden records, alone and in batches, {self.bit_for_bit} bit for bit"
            return found + failing
        return (
            f"not verified: {self.differing} of {self.records} golden records differ after the model is loaded; do not "
            f"serve it because the scores do not apply to it: {self.first}. See: nlp-inference verify {model}"
        )

    @property
    def padding_note(self) -> str:
        """A sentence about a model whose outputs depend on padding; empty for other models."""
        note = "the outputs of this model depend on its batches: evaluation and inference run its rows one at a time"
        return note if self.rows_apart else ""


class RunManifest(_Part):
    """The manifest of a run from its start: `{output_dir}/{name}/run.json`.

    Times are UTC. Digests are SHA-256 in hexadecimal. Fields that are only known at the end are `None` or empty before.

    Args:
        schema_version: the version of this format.
        id: the id of the run, which does not change when it is resumed.
        name: the name in its configuration.
        status: the status. A killed run is also `running`; `interrupted` means stopped by Ctrl-C or a handled signal.
        error: the error of a failed or interrupted run, in one line.
        started_at: the time before its training.
        ended_at: the time when it finished or failed.
        resumed: the resumptions after it was stopped.
        from_checkpoint: the name of the checkpoint of `training.resume_from_checkpoint`, if any, which may have been
            trained with another configuration.
        command: the command line, without folders outside the working directory.
        python: the version of Python.
        packages: the versions of the packages that affect results; `environment.txt` lists all packages.
        code: the state of this library's code.
        project: the git checkout of the working directory, if it is another one.
        hardware: the hardware of the main process.
        environment: the environment variables that affect PyTorch's results, if they were set.
        world_size: the number of processes.
        seed: the seed of all random operations.
        data: the identity of the documents of each split, except streams without a known identity.
        modules: the digests of the user module files that `modules` names, and of files that these import; copies are
            in `code.modules`.
        initial_weights: the digest of the initial weights, including the random weights of the head.
        processor: the digest of everything that affects a prediction except the weights and the installed packages.
        weights: the digest of each file of the final weights, by name.
        metrics: the digest of the final scores.
        verification: the replay of the golden records of the final model.

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
        """The duration including pauses before resumptions; `None` until the run has ended."""
        return None if self.ended_at is None else (self.ended_at - self.started_at).total_seconds()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the manifest of a run.

        Args:
            folder: the folder of the run.

        Raises:
            ArtefactError: there is no manifest, or it is damaged.
        """
        path = Path(folder) / MANIFEST_FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ArtefactError(
                f"{str(folder)!r} has no {MANIFEST_FILE}; pass the folder of a run, such as runs/quickstart"
            ) from error
        except OSError as error:
            raise ArtefactError(f"{str(path)!r} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ArtefactError(f"{str(path)!r} is not the manifest of a run: {explain(error, cls)}") from error

    def save(self, folder: str | Path) -> None:
        """Write the manifest; an earlier one is replaced atomically."""
        write_atomically(Path(folder) / MANIFEST_FILE, self.model_dump_json(indent=2, exclude_none=True) + "\n")
