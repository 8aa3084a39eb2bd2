"""The plan of an adoption: everything that is deduced about a checkpoint, and the processor that follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import transformers
from transformers import PreTrainedModel

from nlp_inference import Document, Processor, Task
from nlp_inference.encoding.windows import WindowSettings
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction, UnsupportedModelError
from nlp_training.adopt.heads import HEADS, HeadPlan, StockHead
from nlp_training.adopt.heads.base import StockRoute
from nlp_training.adopt.limits import of_inputs, window_length
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel
from nlp_training.adopt.weights import adopted_model
from nlp_training.trainer.base_limits import check_reads

_CANNOT = {
    "ForMaskedLM": "a language model without a head of a task; use it as model.base of a training",
    "ForPreTraining": "a language model without a head of a task; use it as model.base of a training",
    "ForCausalLM": "a model that continues a text, for which this library has no task",
    "LMHeadModel": "a model that continues a text, for which this library has no task",
    "ForMultipleChoice": "a multiple-choice model, for which this library has no task",
    "ForNextSentencePrediction": "a next-sentence model, for which this library has no task",
    "Model": "an encoder without a head; use it as model.base of a training",
}


@dataclass
class Plan:
    """The plan of an adoption.

    Attributes:
        stock: the checkpoint.
        deductions: what was deduced, in the order of the table.
        head: what the head becomes.
        processor: everything that affects predictions except the weights.
        model: the model with the outputs of the task.
        route: the stock way of using the model.
        needed: transforms that the checkpoint itself needs, before those of the user.
        stated_settings: fields of the task that the user states.
    """

    stock: StockModel
    deductions: list[Deduction]
    head: HeadPlan
    processor: Processor
    model: PreTrainedModel
    route: StockRoute
    needed: tuple[Spec, ...]
    stated_settings: frozenset[str]

    @property
    def task(self) -> Task:
        """The task of the processor."""
        return self.processor.task

    @property
    def tag_ids(self) -> dict[str, int]:
        """The output of the task for each output of the checkpoint, by name; empty if they are the same."""
        names: Any = self.head.model.config.id2label
        rows = self.head.rows or ()
        return {names[row]: output for output, row in enumerate(rows) if row is not None}

    def user_preprocess(self, processor: Processor) -> Sequence[Spec]:
        """Return the transforms of a processor that the checkpoint does not need."""
        return [*processor.preprocess.to_spec()][len(self.needed) :]

    def processor_without_changes(self) -> Processor:
        """Return the processor that follows from the checkpoint alone, without transforms and settings of the user."""
        settings = {name: value for name, value in self.task.model_dump().items() if name not in self.stated_settings}
        task = Task.from_spec({self.task.name: {**settings, **self.head.search}})
        return Processor(self.stock.tokenizer, task, self.needed, self.head.postprocess, self.processor.windows)

    def without_preprocessing(self, processor: Processor) -> Processor:
        """Return a processor without the transforms of texts that the user added."""
        return Processor(
            processor.tokenizer, processor.task, self.needed, processor.postprocess.to_spec(), processor.windows
        )


def make_plan(source: str, options: AdoptOptions, texts: Callable[[], Sequence[Document]]) -> Plan:
    """Deduce everything about a checkpoint.

    Args:
        source: a folder, a Hub id, or `package:NAME/FOLDER`.
        options: what the user states.
        texts: documents to measure what nothing states; called only if that is necessary.

    Raises:
        AmbiguousModelError: something cannot be deduced; the message names the option that states it.
        UnsupportedModelError: the model cannot be adopted.
        ArtefactError: there is no such model, or it is damaged.
    """
    stock = StockModel.open(source, revision=options.revision, add_prefix_space=options.add_prefix_space)
    head, deductions = choose_head(stock, options)
    inputs = list(of_inputs(stock, options))
    needed = tuple(spec for _, specs in inputs for spec in specs)
    found = head.plan(stock, options, texts)
    names = [one.subject for one in found.deductions]
    if "task" in names:  # the head says more about it than its class
        deductions = [one for one in deductions if one.subject != "task"]
    deductions += [*found.deductions, *(one for one, _ in inputs)]
    deductions += [
        Deduction(name, ", ".join(map(str, specs)), "as stated", f"--{name}", "given")
        for name, specs in (("preprocess", options.preprocess), ("postprocess", options.postprocess))
        if specs
    ]
    windows = WindowSettings(max_length=window_length(inputs[0][0]))
    processor = Processor(
        stock.tokenizer,
        found.task,
        [*needed, *options.preprocess],
        [*found.postprocess, *options.postprocess],
        windows,
    )
    check_reads(processor, stock.limits, resize=False)
    model = adopted_model(found.model, found.task, found.rows)
    route = head.route(found.model, stock, found.task)
    return Plan(stock, deductions, found, processor, model, route, needed, frozenset(options.settings))


def choose_head(stock: StockModel, options: AdoptOptions) -> tuple[StockHead, list[Deduction]]:
    """Return the head of a checkpoint, by the class that its configuration names.

    Raises:
        AmbiguousModelError: it names no class.
        UnsupportedModelError: the class has no task in this library.
        InvalidSpecError: `--task` names a task of another head.
    """
    tasks = [task for head in HEADS for task in head.tasks]
    if options.task is not None and options.task not in tasks:
        raise InvalidSpecError(f"--task is {options.task!r}, expected one of {', '.join(tasks)}")
    name = next(iter(stock.architectures), None)
    if name is None:
        reason = "config.json has no `architectures`, so that the class of the model is unknown"
        raise AmbiguousModelError("task", reason, option='"architectures": ["..."] in config.json')
    head = next((one for one in HEADS if one.has_class(name)), None)
    if head is None:
        why = next((text for end, text in _CANNOT.items() if name.endswith(end)), "a class without a task here")
        supported = ", ".join(one.auto_model.removeprefix("AutoModel") for one in HEADS)
        raise UnsupportedModelError(f"{stock.source!r} is a {name}, {why}. Supported are the heads {supported}")
    if not hasattr(transformers, name):
        stock.model_class  # noqa: B018 - raises
    if options.task is not None and options.task not in head.tasks:
        raise InvalidSpecError(
            f"--task is {options.task!r}, but {name} can become only {', '.join(head.tasks)}, by its outputs"
        )
    return head, [Deduction("task", head.tasks[0], f"architectures of config.json names {name}", "", "stated")]
