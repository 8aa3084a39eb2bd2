"""CPU time of a piece of code, for tests of its complexity."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time

from nlp_inference._utils.garbage_collection import without_collection


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Fail if the code of the block uses more CPU seconds of this thread.

    Other threads and waiting for a core do not count. The garbage collector is off, because its time depends on all
    objects that earlier tests left in the process.
    """
    gc.collect()
    with without_collection():
        start = thread_time()
        yield
        used = thread_time() - start
    assert used < seconds, f"took {used:.2f} s of CPU time, more than {seconds} s"
