"""Less garbage collection, for commands: the collector would look at all modules and models again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Turn garbage collection off, for imports and loading, which make no garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def collecting_only_new_objects() -> Iterator[None]:
    """Exclude the objects that exist now, such as the model, from garbage collection."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def keep_loaded_objects() -> None:
    """Exclude what is loaded from garbage collection, so that no request waits while the collector looks at it.

    The command loads without collection (`without_collection`), and this function turns it on again.
    """
    if gc.get_freeze_count():  # a model was replaced
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.enable()
