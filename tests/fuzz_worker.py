"""A process that loads one damaged artefact after the other and says what came of it, in a line of JSON each.

Arguments: the folder of the artefacts, and megabytes of memory that it may take beyond what it has after sound loads.
Each line of standard input is a request: {"artefact": ..., "file": ..., "seed": ...}.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from fuzz_mutations import damage

from nlp_inference import Document, Predictor, Processor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.errors import NlpInferenceError
from nlp_inference.golden import verify
from nlp_inference.golden.schema import read_golden

TEXTS = ["", "Ana lives in Rome.", "<b>Ana</b> ##e\u0301 👩\u200d👧 \ufeff" * 3, "word " * 60, "x" * 300]
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pickle.find_class",
)


class Zeros:
    """A backend that answers zeros."""

    name, dtype, token_budget, threads = "torch", "float32", 2048, 1

    def __init__(self, processor):
        self.outputs = processor.task.model_settings()["num_labels"]
        self.by_token = processor.task.needs == "spans"

    def forward(self, batch):
        rows, tokens = batch["input_ids"].shape
        shape = (rows, tokens, self.outputs) if self.by_token else (rows, self.outputs)
        return {"logits": np.zeros(shape, dtype=np.float32)}


def walk(folder: Path) -> str:
    """Load, predict and verify; what a clear error says, or `works`."""
    try:
        processor = Processor.from_pretrained(folder)
        predictor = Predictor(processor, Zeros(processor))
        for document, text in zip(predictor.predict(TEXTS), TEXTS, strict=True):
            assert isinstance(document, Document) and document.raw_text == text  # noqa: PT018
        verify(predictor, read_golden(folder))
    except NlpInferenceError as error:
        return type(error).__name__
    return "works"


def main(root: Path, megabytes: int) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the log
    warnings.simplefilter("ignore")
    quiet_libraries()
    for folder in filter(Path.is_dir, root.iterdir()):
        assert walk(folder) == "works"
    happened: list[str] = []
    sys.addaudithook(lambda event, _: happened.append(event) if event in FORBIDDEN else None)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        request, before = json.loads(line), time.monotonic()
        outcome = outcome_of(root / request["artefact"], request["file"], request["seed"])
        if happened or (root / "ran").exists():
            outcome = f"CODE {sorted(set(happened)) or 'evil.py'}"
        seconds = round(time.monotonic() - before, 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        answers.write(json.dumps({**request, "outcome": outcome, "seconds": seconds, "peak_mb": peak}) + "\n")
        happened.clear()


def outcome_of(folder: Path, name: str, seed: int) -> str:
    """What came of loading an artefact of which one file is damaged; the file is sound again then."""
    file = folder / name
    sound = file.read_bytes()
    file.write_bytes(damage(sound, seed))
    try:
        return walk(folder)
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        return f"UNCLEAR {type(error).__name__}: {error!s:.200}"
    finally:
        file.write_bytes(sound)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
