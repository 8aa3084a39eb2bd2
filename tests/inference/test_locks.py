"""One process at a time writes an output; the lock of a process that died is free."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nlp_inference._utils.locks import LockOwner, LockWarning, exclusive_lock
from nlp_inference.errors import OutputError, OutputLockedError

_HOLDER = """
import sys
from pathlib import Path
from nlp_inference._utils.locks import exclusive_lock

with exclusive_lock(Path(sys.argv[1]), purpose="training"):
    print("locked", flush=True)
    sys.stdin.read()
"""

_FORKING = """
import os
import sys
from pathlib import Path
from nlp_inference._utils.locks import exclusive_lock

lock = Path(sys.argv[1])
wait, wake = os.pipe()
with exclusive_lock(lock, purpose="training"):
    child = os.fork()
    if child == 0:
        os.close(wake)
        os.read(wait, 1)  # lives until the parent has locked again
        os._exit(0)
with exclusive_lock(lock, purpose="training"):
    print("locked again", flush=True)
os.close(wake)
os.waitpid(child, 0)
"""


def _holder(lock: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_process_is_refused_and_the_message_names_the_first(tmp_path):
    lock = tmp_path / "run" / ".lock"
    with _holder(lock) as process:
        with pytest.raises(OutputLockedError) as caught, exclusive_lock(lock, purpose="training"):
            pass
        for part in (str(tmp_path / "run"), f"process {process.pid}", socket.gethostname(), "training, since 20"):
            assert part in str(caught.value)
        process.communicate("")
    assert process.returncode == 0
    assert not lock.exists()
    with exclusive_lock(lock, purpose="training"):
        assert LockOwner.model_validate_json(lock.read_bytes()).pid == os.getpid()
    assert isinstance(caught.value, OutputError)


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    lock = tmp_path / ".lock"
    with _holder(lock) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lock.exists()
    with exclusive_lock(lock, purpose="training"):
        assert LockOwner.model_validate_json(lock.read_bytes()).pid == os.getpid()
    assert not lock.exists()


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _FORKING, str(tmp_path / ".lock")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "locked again\n", "")


def test_the_same_process_is_refused_as_well_and_an_error_releases_the_lock(tmp_path):
    lock = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), exclusive_lock(lock, purpose="training"):
        with pytest.raises(OutputLockedError, match=f"process {os.getpid()} "), exclusive_lock(lock, purpose="again"):
            pass
        raise ZeroDivisionError
    with exclusive_lock(lock, purpose="training"):
        pass


def test_at_most_one_of_many_threads_holds_the_lock(tmp_path):
    lock, inside, most, done = tmp_path / ".lock", [], [], []

    def work() -> None:
        for _ in range(100):
            try:
                with exclusive_lock(lock, purpose="training"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except OutputLockedError:
                continue

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(done) >= 100 // 8
    assert not lock.exists()


def test_damaged_lock_files_name_no_owner_but_still_lock(tmp_path):
    lock = tmp_path / ".lock"
    with exclusive_lock(lock, purpose="training"):
        lock.write_bytes(b"\x00{")
        with pytest.raises(OutputLockedError, match="in use by another process"), exclusive_lock(lock, purpose="again"):
            pass


def test_a_file_system_without_locks_is_warned_about(tmp_path, monkeypatch):
    def refuse(descriptor: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("nlp_inference._utils.locks._lock", refuse)
    with pytest.warns(LockWarning, match="without locks"), exclusive_lock(tmp_path / ".lock", purpose="training"):
        pass


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), exclusive_lock(tmp_path / "file" / ".lock", purpose="training"):
        pass


def test_a_link_in_place_of_the_lock_file_is_refused_and_its_target_is_kept(tmp_path):
    (tmp_path / "diary").write_text("dear diary")
    (tmp_path / ".lock").symlink_to(tmp_path / "diary")
    with (
        pytest.raises(OutputError, match="is a link, a folder or a device"),
        exclusive_lock(tmp_path / ".lock", purpose="training"),
    ):
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"
    assert (tmp_path / ".lock").is_symlink()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_in_place_of_the_lock_file_is_refused(tmp_path, make):
    make(tmp_path / ".lock")
    with (
        pytest.raises(OutputError, match="is a link, a folder or a device"),
        exclusive_lock(tmp_path / ".lock", purpose="training"),
    ):
        pass
    assert (tmp_path / ".lock").exists()
