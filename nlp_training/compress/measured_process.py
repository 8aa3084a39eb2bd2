"""Measures one artefact in a fresh process, which imports only what production imports.

    python measured_process.py BEGAN MODEL BACKEND DTYPE TEXTS ROUNDS

BEGAN is the time at which the parent started this process, TEXTS a JSON Lines file. The last line of output is JSON.
"""

import json
import os
import sys
import time


def main(began: float, model: str, backend: str, dtype: str, path: str, rounds: int) -> dict[str, object]:
    """Load the model, predict, and return what was measured."""
    from nlp_inference import Document, Predictor

    with open(path, encoding="utf-8") as lines:  # noqa: PTH123 - pathlib is not loaded otherwise
        documents = [Document.model_validate_json(line) for line in lines]
    predictor = Predictor.from_pretrained(model, backend=backend, dtype=dtype, device="cpu", max_characters=None)
    predictor.predict(documents[:1])
    start = time.time() - began
    predictor.predict(documents[:64])  # warm up
    speeds, singles = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        predictor.predict(documents)
        speeds.append(len(documents) / (time.perf_counter() - begun))
    for one in documents[:100]:
        begun = time.perf_counter()
        predictor.predict([one])
        singles.append(time.perf_counter() - begun)
    return {"start": start, "speeds": speeds, "singles": singles, "resident": _resident()}


def _resident() -> float:
    """Return the resident memory of this process in MB."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    began, model, backend, dtype, path, rounds = sys.argv[1:]
    measured = main(float(began), model, backend, dtype, path, int(rounds))
    sys.stdout.write(json.dumps(measured) + "\n")
