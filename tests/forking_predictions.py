"""A program: forks while other threads predict. The children predict, or say which error they got.

Arguments: the model's folder, the backend, and how many forks.
"""

import os
import sys
import threading
import time

from nlp_inference import Predictor

TEXTS = [f"<b>Ana</b> number {number} lives in Rome {'and writes ' * (number % 40)}" for number in range(60)]
LIMIT = 60.0  # seconds of one child


def child(predictor: Predictor, expected: tuple) -> None:
    code = 1
    try:
        code = 0 if (predictor.predict(TEXTS[:1]), predictor.predict(TEXTS)) == expected else 3
    finally:
        os._exit(code)


def exit_code(process: int) -> int:
    """Of a child, or -1 if it does not end in time."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(process, 9)
    os.waitpid(process, 0)
    return -1


def main(folder: str, backend: str, forks: int) -> list[int]:
    predictor = Predictor.from_pretrained(folder, backend=backend, device="cpu", workers=2)
    expected = (predictor.predict(TEXTS[:1]), predictor.predict(TEXTS))
    stop = threading.Event()

    def keep_predicting() -> None:
        while not stop.is_set():
            predictor.predict(TEXTS)

    threads = [threading.Thread(target=keep_predicting) for _ in range(2)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(forks):
        time.sleep(0.01)
        process = os.fork()
        if not process:
            child(predictor, expected)
        codes.append(exit_code(process))
    stop.set()
    for thread in threads:
        thread.join()
    return codes


if __name__ == "__main__":
    sys.setswitchinterval(1e-5)
    codes = main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.stdout.write(f"exit codes: {' '.join(map(str, codes))}\n")
