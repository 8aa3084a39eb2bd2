"""Files with the predictions of a run's last evaluation: Documents with gold and predicted, and their times."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from nlp_inference import Annotation, Document, Predictor
from nlp_inference.document import as_document
from nlp_inference.files.json_lines import decode_line, parse_json
from nlp_inference.files.records import to_json_line
from nlp_inference.predict.trace import Trace
from nlp_training.data.errors import InvalidDataError

PREDICTIONS = "predictions"
"""The folder in a run."""

_DOCUMENTS, _SECONDS = ".jsonl", ".seconds"

Pair = tuple[Document, Annotation]
"""A predicted document, and its gold."""


class PredictionFile(NamedTuple):
    """The predictions of one data set, or the share of one of several processes.

    `NAME.jsonl` has one Document with gold and predicted per line, in the order of the data set, and `NAME.seconds` has
    on the same line its time (`Trace.seconds`). Times have their own file, so the predictions of a model are
    reproducible.

    Args:
        folder: the folder `predictions` of a run; all processes must have access to it.
        name: the name of the data set.
        process, processes: the index of the process and the number of processes; each writes every n-th document, and
            together they write the file.
    """

    folder: Path
    name: str
    process: int = 0
    processes: int = 1

    @property
    def documents(self) -> Path:
        """The file of the documents; a name that is not a valid file name is quoted as in a URL."""
        return self._path(_DOCUMENTS)

    @property
    def seconds(self) -> Path:
        """The file of the times."""
        return self._path(_SECONDS)

    def keep(self, pairs: Iterator[Pair], predictor: Predictor) -> Generator[Pair]:
        """Write the pairs of this process and yield them; the files are complete when this generator is closed.

        Args:
            pairs: the result of `predict_beside_gold`.
            predictor: the predictor that makes the pairs, to observe the times.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _timed(predictor) as times, ExitStack() as files:
            documents, seconds = (
                files.enter_context(self._share(kind, self.process).open("w", encoding="utf-8"))
                for kind in (_DOCUMENTS, _SECONDS)
            )
            for document, gold in pairs:
                documents.write(to_json_line(document.model_copy(update={"gold": gold})) + "\n")
                seconds.write(f"{times.popleft():.6f}\n")
                yield document, gold

    def merge(self) -> None:
        """Merge the shares of all processes, in the order of the data set; call it after all of them are written.

        Raises:
            FileNotFoundError: the processes do not share the folder.
        """
        for kind in (_DOCUMENTS, _SECONDS):
            shares = [self._share(kind, process) for process in range(self.processes)]
            if self.processes > 1:
                _interleave(shares, self._share(kind, self.processes))
                for share in shares:
                    share.unlink()
                shares = [self._share(kind, self.processes)]
            shares[0].replace(self._path(kind))

    def _path(self, kind: str) -> Path:
        quoted = quote(self.name, safe=" ")
        visible = f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted
        return self.folder / f"{visible}{kind}"

    def _share(self, kind: str, process: int) -> Path:
        path = self._path(kind)
        return path.with_name(f".{path.name}.{process}")


def kept_predictions(run: Path) -> list[PredictionFile]:
    """Return the prediction files of a run, sorted by the names of their data sets."""
    paths = sorted((run / PREDICTIONS).glob(f"[!.]*{_DOCUMENTS}"))
    return [PredictionFile(run / PREDICTIONS, unquote(path.name.removesuffix(_DOCUMENTS))) for path in paths]


def forget_predictions(run: Path, *, but: Sequence[str]) -> None:
    """Remove the prediction files of a run, except those of the data sets in `but`."""
    for kept in kept_predictions(run):
        if kept.name not in but:
            kept.documents.unlink()
            kept.seconds.unlink(missing_ok=True)


def read_predictions(file: PredictionFile) -> Iterator[tuple[Document, float | None]]:
    """Yield Documents with gold and predicted, and the seconds of each, if known.

    Raises:
        InvalidDataError: a line is not a Document.
    """
    with ExitStack() as files:
        lines = files.enter_context(file.documents.open("rb"))
        seconds = files.enter_context(file.seconds.open()) if file.seconds.is_file() else None
        for number, line in enumerate(lines, 1):
            try:
                document = as_document(parse_json(decode_line(line)))
                took = None if seconds is None else float(next(seconds))
            except (ValueError, TypeError, StopIteration) as error:
                raise InvalidDataError(f"{file.documents}:{number}: {error}; evaluate the run again") from error
            yield document, took


@contextmanager
def _timed(predictor: Predictor) -> Iterator[deque[float]]:
    """Yield a queue with the seconds of documents whose predictions have not been consumed yet."""
    times = deque[float]()

    def observe(traces: Sequence[Trace]) -> None:
        times.extend(trace.seconds for trace in traces)

    predictor.observers.append(observe)
    try:
        yield times
    finally:
        predictor.observers.remove(observe)


def _interleave(shares: Sequence[Path], target: Path) -> None:
    """Write a line of each share in turn, up to the end of the first share that ends."""
    with ExitStack() as files:
        written = files.enter_context(target.open("wb"))
        for share in cycle([files.enter_context(path.open("rb")) for path in shares]):
            line = share.readline()
            if not line:
                return
            written.write(line)
