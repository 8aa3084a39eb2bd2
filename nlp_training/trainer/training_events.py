"""Training events: the origin of a stop, and when a requested stop or save takes effect."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import CallbackHandler, ExportableState

_WITHIN_STEP = {
    "on_train_begin",
    "on_epoch_begin",
    "on_step_begin",
    "on_substep_end",
    "on_pre_optimizer_step",
    "on_optimizer_step",
}
_ENDS = {"on_step_end", "on_epoch_end"}


class TrainingEvents(CallbackHandler):
    """A callback handler that distinguishes the end of training from an interruption.

    - A stop that a callback requests in the middle of a step takes effect at the end of the step. Otherwise, part of an
      accumulated step would be lost, and its loss would be counted twice after resuming.
    - A stop is **decided** if a callback that keeps its state in checkpoints (`ExportableState`, such as
      `EarlyStoppingCallback`) requests it, because it would do so again after resuming. Any other stop before the last
      step, by a time limit, a signal or from outside of the callbacks, is an interruption.

    Args:
        handler: the handler whose callbacks are called.
        before: functions to call before the callbacks of an event, by its name.
    """

    def __init__(self, handler: CallbackHandler, *, before: Mapping[str, Callable[[], None]]) -> None:
        vars(self).update(vars(handler))
        self._before = before
        self._running: str | None = None
        self._is_held = False
        self.stop_is_decided = False
        self.save_was_withdrawn = False

    @property
    def a_save_follows(self) -> bool:
        """Whether callbacks are running for an event after which the trainer logs, evaluates and saves."""
        return self._running in _WITHIN_STEP | _ENDS

    def call_event(
        self, event: str, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Call every callback; see `CallbackHandler.call_event`."""
        if event == "on_train_begin":
            self._is_held = self.stop_is_decided = False
        elif event in _ENDS:
            control.should_training_stop |= self._is_held
            self.save_was_withdrawn = False
        if event in self._before:
            self._before[event]()
        outer, self._running = self._running, event
        try:
            for callback in self.callbacks:
                control = self._call(callback, event, args, state, control, **kwargs)
        finally:
            self._running = outer
        if event in _WITHIN_STEP:
            self._is_held |= control.should_training_stop
            control.should_training_stop = False
        return control

    def _call(self, callback: Any, event: str, args: Any, state: Any, control: Any, **kwargs: Any) -> TrainerControl:
        single = copy(self)
        single.callbacks = [callback]
        should_save, should_stop, keeps_state = (
            control.should_save,
            control.should_training_stop,
            isinstance(callback, ExportableState),
        )
        if keeps_state:  # to detect whether this callback requests a stop
            control.should_training_stop = False
        control = CallbackHandler.call_event(single, event, args, state, control, **kwargs)
        self.stop_is_decided |= keeps_state and control.should_training_stop
        control.should_training_stop |= should_stop
        self.save_was_withdrawn |= should_save and not control.should_save
        return control  # type: ignore[no-any-return]
