"""A process that is forked while threads predict: its children predict, or raise a named error at once."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import nlp_inference
from nlp_inference._utils import forks
from nlp_inference._utils.forks import ForkSafeLock, generation, native_code
from nlp_inference.errors import ForkedProcessError
from nlp_inference.predict.workers import Workers

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # what is tested
]
PACKAGES = Path(nlp_inference.__file__).parents[1]


class Two:
    """A backend of two threads."""

    threads = 2

    def use_threads(self, count: int) -> None:
        pass


def in_child(run, *, limit: float = 30.0) -> str:
    """What `run` returns in a forked process, or the error that it raises; a child that hangs is killed."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        try:
            told = str(run())
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    end = time.monotonic() + limit
    while not os.waitpid(process, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(process, 9)
            os.waitpid(process, 0)
            return "hangs"
        time.sleep(0.01)
    with os.fdopen(reading, "rb") as told_by_child:
        return told_by_child.read().decode()


def test_a_lock_that_another_thread_holds_is_free_in_the_child():
    lock, held, may_end = ForkSafeLock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            may_end.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)

    def take() -> str:
        with lock:
            return "taken"

    assert in_child(take) == "taken"
    may_end.set()
    holder.join()


def test_a_fork_waits_until_no_thread_is_in_native_code():
    inside, ended = threading.Event(), []

    def native() -> None:
        with native_code(), native_code():
            inside.set()
            time.sleep(0.2)
            ended.append("native code")

    thread = threading.Thread(target=native)
    thread.start()
    inside.wait(30)
    assert in_child(lambda: (ended, generation() > 0)) == "(['native code'], True)"
    thread.join()


def test_a_fork_from_native_code_does_not_wait_for_itself():
    with native_code():
        assert in_child(lambda: "forked") == "forked"
    assert in_child(lambda: "forked") == "forked"


def test_two_threads_that_fork_from_native_code_do_not_wait_for_each_other():
    meeting, told = threading.Barrier(2, timeout=30), []

    def fork() -> None:
        with native_code():
            meeting.wait()
            told.append(in_child(lambda: "forked"))

    threads = [threading.Thread(target=fork) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told == ["forked", "forked"]


def test_a_child_of_native_code_that_did_not_end_refuses_to_predict(monkeypatch):
    monkeypatch.setattr(forks, "LONGEST_WAIT", 0.05)
    inside, may_end = threading.Event(), threading.Event()

    def native() -> None:
        with native_code():
            inside.set()
            may_end.wait(30)

    thread = threading.Thread(target=native)
    thread.start()
    inside.wait(30)
    pool = Workers(Two())
    told = in_child(lambda: list(pool.map(str, [1, 2])))
    may_end.set()
    thread.join()
    assert told.startswith("ForkedProcessError: this process was forked while another thread"), told
    assert in_child(lambda: list(pool.map(str, [1, 2]))) == "['1', '2']"


def test_predictions_that_a_parent_began_are_refused_in_the_child():
    with Workers(Two()) as pool:
        results = pool.map(str, [1, 2])
        told = in_child(lambda: next(results))
        assert told.startswith("ForkedProcessError: these predictions were started in the process that forked")
        assert in_child(results.close) == "None"
        assert list(results) == ["1", "2"]


def test_a_child_runs_a_single_batch_on_a_thread_of_its_own():
    """The OpenMP runtime of the forking thread waits in the child for threads that are not there."""
    with Workers(Two(), count=1) as pool:
        here = threading.get_ident()
        assert list(pool.map(lambda _: threading.get_ident() == here, [0])) == [True]
        assert in_child(lambda: list(pool.map(lambda _: threading.get_ident() == here, [0]))) == "[False]"


def test_the_error_is_of_the_tree_of_errors():
    assert issubclass(ForkedProcessError, RuntimeError)
    assert issubclass(ForkedProcessError, nlp_inference.errors.NlpInferenceError)


def test_no_property_is_cached_under_a_lock():
    """`functools.cached_property` of Python 3.11 holds a lock, which a forked child may wait for forever."""
    sources = [path for name in ("nlp_inference", "nlp_training") for path in (PACKAGES / name).rglob("*.py")]
    assert len(sources) > 150
    found = [
        str(path)
        for path in sources
        if re.search(r"import .*cached_property|@(functools\.)?cached_property", path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.extra
def test_children_predict_while_threads_of_the_parent_predict(saved_model):
    """Ten forks with a switch interval of 1e-5: without waiting, some children hang."""
    program = Path(__file__).parents[1] / "forking_predictions.py"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", program, saved_model, "torch", "10"],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert told.stdout == "exit codes: 0 0 0 0 0 0 0 0 0 0\n", told.stderr
