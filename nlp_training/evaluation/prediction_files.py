"""The predictions of a run's last evaluation, as files: Documents with gold and predicted, and the time each took."""

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
"""The folder of a run that they are in."""

_DOCUMENTS, _SECONDS = ".jsonl", ".seconds"

Pair = tuple[Document, Annotation]
"""A predicted document, and its gold."""


class PredictionFile(NamedTuple):
    """The predictions of one data set, and its share for one of several processes.

    `NAME.jsonl` has a Document with gold and predicted a line, in the order of the data set, and `NAME.seconds`, on the
    same line, how long it took (`Trace.seconds`). They are apart so that the same model writes the same predictions.

    Args:
        folder: the folder `predictions` of a run; all processes must see it.
        name: of the data set.
        process, processes: whose share it is, every so manieth document; all of them make the file together.
    """

    folder: Path
    name: str
    process: int = 0
    processes: int = 1

    @property
    def documents(self) -> Path:
        """The file of the documents; a name that is no file name is quoted as in a URL."""
        return self._path(_DOCUMENTS)

    @property
    def seconds(self) -> Path:
        """The file of the times."""
        return self._path(_SECONDS)

    def keep(self, pairs: Iterator[Pair], predictor: Predictor) -> Generator[Pair]:
        """Write the share of this process while it goes by; the files are whole when this generator is closed.

        Args:
            pairs: what `predict_beside_gold` gives.
            predictor: makes them; it is asked how long each took.
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
        """Put the shares of all processes together, in the order of the data set; after all of them are written.

        Raises:
            FileNotFoundError: the processes do not see the same folder.
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
    """The predictions that a run has kept, sorted by the names of their data sets."""
    paths = sorted((run / PREDICTIONS).glob(f"[!.]*{_DOCUMENTS}"))
    return [PredictionFile(run / PREDICTIONS, unquote(path.name.removesuffix(_DOCUMENTS))) for path in paths]


def forget_predictions(run: Path, *, but: Sequence[str]) -> None:
    """Remove what an earlier run of the same name has kept of data sets that are not named."""
    for kept in kept_predictions(run):
        if kept.name not in but:
            kept.documents.unlink()
            kept.seconds.unlink(missing_ok=True)


def read_predictions(file: PredictionFile) -> Iterator[tuple[Document, float | None]]:
    """Documents with gold and predicted, one after the other, and how many seconds each took, if that is known.

    Raises:
        InvalidDataError: a line is no Document.
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
    """The seconds of documents whose predictions have not been taken yet."""
    times = deque[float]()

    def observe(traces: Sequence[Trace]) -> None:
        times.extend(trace.seconds for trace in traces)

    predictor.observers.append(observe)
    try:
        yield times
    finally:
        predictor.observers.remove(observe)


def _interleave(shares: Sequence[Path], target: Path) -> None:
    """A line of each in turn; a share that is one line shorter ends first."""
    with ExitStack() as files:
        written = files.enter_context(target.open("wb"))
        for share in cycle([files.enter_context(path.open("rb")) for path in shares]):
            line = share.readline()
            if not line:
                return
            written.write(line)
