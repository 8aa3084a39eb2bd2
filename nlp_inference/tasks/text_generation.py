"""Texts written by an encoder-decoder model: summaries, translations, corrections."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, model_validator

from nlp_inference.document import Annotation
from nlp_inference.encoding import EncodedDocument
from nlp_inference.encoding.generated_text import end_id, target_ids, text_of
from nlp_inference.encoding.input_rows import IGNORED, Row
from nlp_inference.errors import InvalidDocumentError
from nlp_inference.tasks.base import Arrays, Task

TOO_LONG = "longer than max_new_tokens"
NOT_RESTORED = "the tokenizer does not restore it"
"""Causes of gold that no model can reproduce."""

_TOKENS = (
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "pad_token_id",
)
"""What generation takes from the model; everything else is a setting of the task."""

_OF_SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "typical_p", "min_p")


class TextGeneration(Task):
    """Write a text: a summary, a translation, a correction, or an answer, as `Annotation.generated`.

    Any encoder-decoder model of transformers (`AutoModelForSeq2SeqLM`) learns it: T5, BART, mBART, Marian, Pegasus and
    others. Its gold is one text. Predictions are deterministic: greedy search, or beam search with `num_beams`. The
    settings have the names of `transformers.GenerationConfig`, and replace those that the base model was saved with.

    Args:
        pipeline_tag: the name of the task on the Hub: `text-generation`, `summarization` or `translation`.
        prefix: a text before every input, such as `"summarize: "` for T5. Offsets and coverage do not count it.
        max_new_tokens: the longest output in tokens, special tokens included. Longer targets are cut in training, and
            reported as gold that no model can predict.
        min_new_tokens: the shortest output.
        num_beams: the number of beams; 1 is greedy search.
        length_penalty: the exponent of the length by which beam scores are divided: above 0, longer texts.
        early_stopping: whether beam search ends as soon as there are `num_beams` complete texts.
        no_repeat_ngram_size: n-grams of this size occur only once in an output; 0 permits repetitions.
        repetition_penalty: the divisor of the scores of tokens that were written before (Keskar et al., 2019,
            https://arxiv.org/abs/1909.05858); 1 has no effect.
        windows: what happens to an input of more than one window: `refuse` raises an error, `join` writes a text for
            each window and joins them. Windows do not overlap unless `processor.windows.overlap` is set.
        separator: what is between the texts of joined windows.

    Example:
        >>> task = TextGeneration(pipeline_tag="summarization", prefix="summarize: ", num_beams=4)
        >>> task.to_spec()
        {'text-generation': {'pipeline_tag': 'summarization', 'prefix': 'summarize: ', 'num_beams': 4}}
    """

    name = "text-generation"
    auto_model = "AutoModelForSeq2SeqLM"
    outputs = ("sequences",)
    needs = "text"
    default_overlap = 0
    not_exportable: ClassVar[str | None] = (
        "writes its text token by token, which an exported graph of one forward pass cannot do; predict with backend "
        "'torch'"
    )

    pipeline_tag: Literal["text-generation", "summarization", "translation"] = "text-generation"  # type: ignore[misc]
    prefix: str = ""
    max_new_tokens: Annotated[int, Field(gt=0)] = 128
    min_new_tokens: Annotated[int, Field(ge=0)] = 0
    num_beams: Annotated[int, Field(gt=0)] = 1
    length_penalty: FiniteFloat = 1.0
    early_stopping: bool = False
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    repetition_penalty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    windows: Literal["refuse", "join"] = "refuse"
    separator: str = " "

    @model_validator(mode="before")
    @classmethod
    def _refuse_sampling(cls, fields: Any) -> Any:
        given = [name for name in _OF_SAMPLING if isinstance(fields, Mapping) and name in fields]
        if given:
            raise ValueError(
                f"{', '.join(given)}: predictions of this library are deterministic, and sampling is not supported; "
                "use num_beams"
            )
        return fields

    @model_validator(mode="after")
    def _check_search(self) -> Self:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens is {self.min_new_tokens}, more than max_new_tokens {self.max_new_tokens}")
        if self.num_beams == 1 and (self.length_penalty != 1.0 or self.early_stopping):
            raise ValueError("length_penalty and early_stopping apply to beam search; set num_beams, such as 4")
        return self

    @property
    def text_prefix(self) -> str:
        """The prefix."""
        return self.prefix

    @property
    def longest_output(self) -> int:
        """The number of new tokens."""
        return self.max_new_tokens

    def model_settings(self) -> dict[str, Any]:
        """Return nothing: the model has no labels, and generation settings are not part of `config.json`."""
        return {}

    def encoding_problem(self, encoded: EncodedDocument) -> str | None:
        """Refuse an input of several windows, unless their texts are joined."""
        if len(encoded.windows) == 1 or self.windows == "join":
            return None
        window = encoded.windows[0]
        return (
            f"has {len(encoded.token_ids)} tokens, and a window has {window.end - window.start}; set windows: join of "
            f"the task {self.name!r} to join the texts of its windows, windows.on_overflow: truncate to read the first "
            "window only, or increase windows.max_length"
        )

    def target_problem(self, encoded: EncodedDocument) -> str | None:
        """Refuse to learn from an input of several windows, because its target belongs to all of them together."""
        if len(encoded.windows) == 1:
            return None
        return (
            f"has {len(encoded.windows)} windows, but one target for all of them, which cannot be divided; train on "
            "documents of one window, or set windows.on_overflow: truncate"
        )

    def targets(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[dict[str, NDArray[Any]]]:
        """Return `labels` `[tokens]`: the ids of the gold text, at most `max_new_tokens`.

        Raises:
            InvalidDocumentError: the document does not have exactly one gold text, or has several windows.
        """
        problem = self.target_problem(encoded)
        if problem is not None:
            raise InvalidDocumentError(f"document {encoded.document.id!r} {problem}")
        labels = self._gold_ids(encoded)[: self.max_new_tokens]
        return [{"labels": labels} for _ in rows]

    def perfect_outputs(self, encoded: EncodedDocument, rows: Sequence[Row]) -> list[Arrays]:
        """Return the gold text for the first window, and nothing for the others."""
        ids = self._gold_ids(encoded)[: self.max_new_tokens]
        nothing = np.zeros(0, dtype=np.int64)
        return [{"sequences": nothing if number else ids} for number in range(len(rows))]

    def decode(self, encoded: EncodedDocument, rows: Sequence[Row], outputs: Sequence[Arrays]) -> Annotation:  # noqa: ARG002
        """Return the text of all windows, joined."""
        texts = [self._text(encoded, output["sequences"]) for output in outputs]
        return Annotation(generated=(self.separator.join(filter(None, texts)),))

    def lost_cause(self, encoded: EncodedDocument) -> str | None:
        """Return that the gold text is too long, or that the tokenizer does not restore it; white space may differ."""
        ids = self._gold_ids(encoded)
        if self._text(encoded, ids[: self.max_new_tokens]).split() == _gold_text(encoded).split():
            return None
        return TOO_LONG if len(ids) > self.max_new_tokens else NOT_RESTORED

    def prepare_model(self, model: Any, tokenizer: Any) -> None:
        """Give a model the settings of this task, and the ids of tokens that its configuration lacks."""
        found, config = model.generation_config, model.config
        start = next((one for one in (tokenizer.bos_token_id, tokenizer.cls_token_id) if one is not None), None)
        usual = {
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": end_id(tokenizer),
            "decoder_start_token_id": tokenizer.pad_token_id if start is None else start,
        }
        for name, value in usual.items():
            if getattr(found, name, None) is None:
                known = getattr(config, name, None)
                setattr(found, name, value if known is None else known)
            if getattr(config, name, None) is None:
                setattr(config, name, getattr(found, name))
        model.generation_config = self.generation_config(model)

    def decoder_inputs(self, model: Any, labels: Any) -> dict[str, Any]:
        """Return `decoder_input_ids` `[rows, tokens]`: the labels, shifted by the start of the decoder."""
        if hasattr(model, "prepare_decoder_input_ids_from_labels"):
            return {"decoder_input_ids": model.prepare_decoder_input_ids_from_labels(labels=labels)}
        shifted = labels.roll(1, dims=-1)
        shifted[:, 0] = model.config.decoder_start_token_id
        return {"decoder_input_ids": shifted.masked_fill(shifted == IGNORED, model.config.pad_token_id)}

    def run(self, model: Callable[..., Any], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Generate `sequences` `[rows, tokens]`, without the start of the decoder, and `IGNORED` after the end."""
        generator: Any = copy(model)  # `generate` adds what the model was saved with to a configuration
        config = generator.generation_config = self.generation_config(model)
        sequences = generator.generate(**inputs, generation_config=config)[:, 1:]
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        is_end = sum(((sequences == end).int() for end in ends), start=(sequences < 0).int())
        ended_before = is_end.cumsum(dim=1) - is_end > 0
        return {"sequences": sequences.masked_fill(ended_before, IGNORED)}

    def probe(self, model: Callable[..., Mapping[str, Any]], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the logits of the first token, because generating would be slow."""
        start: int = model.config.decoder_start_token_id  # type: ignore[attr-defined]
        first = inputs["input_ids"][:, :1] * 0 + start
        return {"logits": model(**inputs, decoder_input_ids=first)["logits"]}

    def row_tokens(self, row: Row) -> int:
        """Return the tokens of input and longest output, for each beam: each needs memory while the text is written."""
        return self.num_beams * (len(row.input_ids) + self.max_new_tokens)

    def generation_config(self, model: Any) -> Any:
        """Return the settings of `model.generate`: those of the task, with the ids of special tokens of the model."""
        from transformers import GenerationConfig

        known = model.generation_config
        search = ("max_new_tokens", "min_new_tokens", "num_beams", "no_repeat_ngram_size", "repetition_penalty")
        of_beams = ("length_penalty", "early_stopping") if self.num_beams > 1 else ()
        return GenerationConfig(
            **{name: getattr(known, name, None) for name in _TOKENS},
            **{name: getattr(self, name) for name in (*search, *of_beams)},
            do_sample=False,
            use_cache=True,
        )

    def _text(self, encoded: EncodedDocument, ids: NDArray[np.int64]) -> str:
        return text_of(encoded.tokenizer, ids[ids != IGNORED])  # type: ignore[arg-type]  # a processor always sets it

    def _gold_ids(self, encoded: EncodedDocument) -> NDArray[np.int64]:
        return target_ids(encoded.tokenizer, _gold_text(encoded))  # type: ignore[arg-type]  # a processor always sets it


def _gold_text(encoded: EncodedDocument) -> str:
    document = encoded.document
    texts = document.gold.generated if document.gold is not None else ()
    if len(texts) != 1:
        raise InvalidDocumentError(f"document {document.id!r} has {len(texts)} gold texts; it learns from exactly one")
    return texts[0]
