"""Checks that transforms and post-transforms share."""

import json
import pickle
from collections.abc import Callable, Iterable
from time import process_time
from typing import Any, TypeVar

from nlp_inference.errors import CheckFailedError
from nlp_inference.registry import Registered

Result = TypeVar("Result")

_GRACE_SECONDS = 0.2
_NOISE = 4.0
"""Factor by which a call may exceed proportional time, because other processes share the machine."""
_REACH = 20
"""A call is compared with the first call on an input of at least this fraction (1/20) of its length."""


def failed(step: object, law: str, what: str, *, on: object = None) -> CheckFailedError:
    """Return the error that names the law, the input and the failure."""
    argument = "" if on is None else f", on {on!r:.300}"
    name = step.__name__ if isinstance(step, type) else type(step).__name__
    return CheckFailedError(f"{name} breaks the law {law!r}{argument}: {what}")


def attempt(step: object, law: str, function: Callable[..., Result], *arguments: Any, on: object = None) -> Result:
    """Return the result of a function that must not raise.

    Raises:
        CheckFailedError: the function raised an error.
    """
    try:
        return function(*arguments)
    except Exception as error:
        raise failed(step, law, f"it raised {type(error).__name__}: {error}", on=on) from error


def check_identity(step: Any, kind: type[Registered]) -> None:
    """Check the laws of saved objects: kind, name, version, specification, pickle.

    Raises:
        CheckFailedError: a law is broken.
    """
    check_name(step, kind)
    version = getattr(step, "version", None)
    if type(version) is not int or version < 1:
        raise failed(step, "its version is a positive integer", f"its class attribute `version` is {version!r}")


def check_name(step: Any, kind: type[Registered]) -> None:
    """Check the laws of objects in a configuration: kind, name, specification, pickle.

    Raises:
        CheckFailedError: a law is broken.
    """
    if not isinstance(step, kind):
        message = f"{step!r:.200} is not a {kind.__name__}; pass an object, such as {kind.__name__}Name()"
        raise CheckFailedError(message)
    name = getattr(step, "name", None)
    if not isinstance(name, str) or not name:
        raise failed(step, "it has a name", f"its class attribute `name` is {name!r}, expected a string")
    if not step.came_with_a_model() and kind.members.get(name) is not type(step):
        raise failed(step, "it is registered by its name", f"{name!r} stands for {kind.members.get(name)!r}")
    _check_round_trips(step)


def _check_round_trips(step: Registered) -> None:
    law = "it survives JSON"
    spec = attempt(step, law, step.to_spec)
    text = attempt(step, law, json.dumps, spec, on=spec)
    value = None if isinstance(spec, str) else json.loads(text)[step.name]
    again = attempt(step, law, type(step).from_value, value, on=spec)
    if again != step:
        raise failed(step, law, f"it came back as {again!r}; are all settings fields?", on=spec)
    law = "it can be pickled"
    for one in (step, again):
        copy = attempt(step, law, pickle.loads, attempt(step, law, pickle.dumps, one))
        if copy != one:
            raise failed(step, law, f"it came back as {copy!r}")


def check_time(
    step: Registered, function: Callable[[Any], object], inputs: Iterable[tuple[int, Any]], *, on: str
) -> None:
    """Check that the time of a call grows at most in proportion to the length of its input.

    Args:
        step: the transform.
        function: applies the transform.
        inputs: inputs of increasing length, each with its length in characters or spans.
        on: a description of the inputs, for the message.

    Raises:
        CheckFailedError: a call took longer, or failed.
    """
    law = "its time grows with the length of the input, and no faster"

    def seconds_of(argument: Any) -> float:
        before = process_time()
        attempt(step, law, function, argument, on=on)
        return process_time() - before

    measured: list[tuple[int, float]] = []
    for length, argument in inputs:
        seconds = seconds_of(argument)
        measured.append((length, seconds))
        shorter, its_seconds = next(one for one in measured if one[0] * _REACH >= length)
        allowed = _GRACE_SECONDS + _NOISE * its_seconds * length / shorter
        if seconds > allowed and seconds_of(argument) > allowed:  # one slow call may be garbage collection
            raise failed(step, law, f"{its_seconds:.3f} s for {shorter}, but {seconds:.3f} s for {length}", on=on)
