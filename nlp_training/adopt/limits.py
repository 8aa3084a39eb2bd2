"""What a tokenizer and a model state about their inputs, and what they do not: length, padding, letter case, spaces."""

import re
from collections.abc import Iterator

from transformers import PreTrainedTokenizerBase

from nlp_inference.encoding.tokenization import plain_backend
from nlp_inference.errors import InvalidSpecError
from nlp_inference.registry import Spec
from nlp_training.adopt.deduction import AmbiguousModelError, Deduction
from nlp_training.adopt.foreign import read_json
from nlp_training.adopt.options import AdoptOptions
from nlp_training.adopt.stock import StockModel
from nlp_training.trainer.base_limits import with_pad_token

_CAPITAL = re.compile("[A-Z]")
_LEAST_CAPITALS = 0.001
"""The share of tokens with a capital letter that the vocabulary of a tokenizer for lower-cased texts may have."""

_NO_LIMIT = 1_000_000
_SENTENCE = "Ana Rossi moved to New York in May"
_POSITIONS = ("n_positions", "max_position_embeddings", "max_sequence_length")


def max_length(stock: StockModel, options: AdoptOptions) -> Deduction:
    """Deduce the tokens of a window, and set the limit of the tokenizer where it has none.

    Raises:
        AmbiguousModelError: neither the model nor the tokenizer has a limit.
        InvalidSpecError: the stated length is more than the model can read.
    """
    limits, tokenizer = stock.limits, stock.tokenizer
    stated = int(min(tokenizer.model_max_length, 10**30))
    stated = stated if 0 < stated <= _NO_LIMIT else 0
    known = {"the tokenizer": stated} if stated else {}
    if limits.usable is not None:
        known["the model"] = limits.usable
    elif configured := _configured(stock):
        known["config.json"] = configured
    evidence = f"{_model_evidence(stock)}; the tokenizer states {stated or 'no limit'}"
    if options.max_length is not None:
        if limits.positions is not None and options.max_length > limits.positions:
            raise InvalidSpecError(
                f"--max-length is {options.max_length}, but the model has positions for {limits.positions} tokens"
            )
        length, basis = options.max_length, "given"
    elif known:
        length, basis = min(known.values()), "deduced" if len(known) > 1 else "stated"
    else:
        raise AmbiguousModelError("maximal length", evidence, option="--max-length N")
    tokenizer.model_max_length = max(length, stated)
    return Deduction("maximal length", f"{length} tokens", evidence, "--max-length", basis)  # type: ignore[arg-type]


def _configured(stock: StockModel) -> int | None:
    found = [stock.config_json.get(name) for name in _POSITIONS]
    return next((one for one in found if isinstance(one, int) and one > 0), None)


def _model_evidence(stock: StockModel) -> str:
    limits = stock.limits
    rows = _configured(stock)
    if limits.positions is None and limits.trained_positions is None:
        return f"config.json states {rows} positions" if rows else "the model has no table of positions"
    if limits.positions is None:
        return f"the model was trained with {limits.trained_positions} positions, which are no hard limit"
    offset = (rows or limits.positions) - limits.positions
    if offset > 0:
        return f"{rows} position embeddings, of which {offset} are used up to the padding row"
    return f"{limits.positions} position embeddings"


def pad_token(stock: StockModel, options: AdoptOptions) -> Deduction:
    """Deduce the padding token, and set it.

    Raises:
        AmbiguousModelError: the tokenizer has neither a padding token nor an end-of-text token.
        InvalidSpecError: the vocabulary has no such token.
    """
    tokenizer = stock.tokenizer
    had = tokenizer.pad_token
    if options.pad_token is None and had is None and tokenizer.eos_token is None:
        raise AmbiguousModelError(
            "padding token",
            f"{type(tokenizer).__name__} has neither a padding token nor an end-of-text token",
            option="--pad-token TOKEN",
        )
    with_pad_token(tokenizer, options.pad_token)
    value = str(tokenizer.pad_token)
    if options.pad_token is not None:
        return Deduction("padding token", value, "as stated", "--pad-token", "given")
    if had is not None:
        return Deduction("padding token", value, "the tokenizer has it", "--pad-token", "stated")
    reason = "the tokenizer has none; padding is masked, so that its end-of-text token serves"
    return Deduction("padding token", value, reason, "--pad-token", "deduced")


def letter_case(stock: StockModel, options: AdoptOptions) -> tuple[Deduction, tuple[Spec, ...]]:
    """Deduce whether texts are lower-cased, and return the transform that does it if the tokenizer does not.

    Raises:
        AmbiguousModelError: the configuration and the files of the tokenizer disagree.
        InvalidSpecError: texts are not to be lower-cased, but the tokenizer does it.
    """
    tokenizer, option = stock.tokenizer, "--lower-case|--no-lower-case"
    lowers = _ids(tokenizer, _SENTENCE) == _ids(tokenizer, _SENTENCE.lower())
    capitals = _has_capitals(tokenizer)
    stated = getattr(tokenizer, "do_lower_case", None)
    if options.lower_case is not None:
        if lowers and not options.lower_case:
            raise InvalidSpecError("--no-lower-case is given, but the tokenizer itself lower-cases every text")
        added: tuple[Spec, ...] = ("lowercase",) if options.lower_case and not lowers else ()
        return Deduction("letter case", _case(options.lower_case), "as stated", option, "given"), added
    if not lowers and not capitals:
        raise AmbiguousModelError(
            "letter case",
            "no token of the vocabulary has a capital letter, but the tokenizer does not lower-case texts, so that "
            "words with capitals would be unknown or in pieces",
            option=option,
        )
    vocabulary = "tokens with capitals" if capitals else "no token with capitals"
    evidence = f"the tokenizer {'lower-cases' if lowers else 'keeps capitals'}; its vocabulary has {vocabulary}"
    if isinstance(stated, bool) and stated != lowers:
        evidence += f"; do_lower_case is {stated}, which the fast tokenizer does not follow"
    return Deduction("letter case", _case(lowers), evidence, option, "deduced"), ()


def _case(lowers: bool) -> str:  # noqa: FBT001 - one flag
    return "lower-cased" if lowers else "kept"


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(plain_backend(tokenizer).encode(text, add_special_tokens=False).ids)


def _has_capitals(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the vocabulary has more capital letters than those of special tokens and a few oddities."""
    vocabulary = tokenizer.get_vocab()
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    capital = sum(_CAPITAL.search(token) is not None for token in vocabulary if token not in special)
    return capital > _LEAST_CAPITALS * len(vocabulary)


def prefix_space(stock: StockModel, options: AdoptOptions) -> Deduction | None:
    """Describe whether a space is added before a text; `None` if that makes no difference."""
    backend = plain_backend(stock.tokenizer)
    first, inner = (list(backend.encode(text, add_special_tokens=False).ids) for text in ("Ana", "of Ana"))
    differs = inner[-len(first) :] != first
    given = options.add_prefix_space
    stated = read_json(stock.folder / "tokenizer_config.json").get("add_prefix_space")
    if given is None and not differs and not stated:
        return None
    value = "no: the first word has other tokens than inside a text" if differs else "yes"
    option = "--add-prefix-space|--no-add-prefix-space"
    if given is not None:
        return Deduction("space before the text", value, "as stated", option, "given")
    return Deduction("space before the text", value, "as the tokenizer is saved", option, "stated")


def precision(stock: StockModel) -> Deduction:
    """Describe the precision of the weights; they are saved in float32, in which golden records are made."""
    stored = stock.dtype
    if stored == "float32":
        return Deduction("precision", "float32", "the weights are stored in it", basis="stated")
    evidence = f"the weights are stored in {stored}, which a CPU computes slowly or not at all"
    return Deduction("precision", "float32", evidence, basis="deduced")


def of_inputs(stock: StockModel, options: AdoptOptions) -> Iterator[tuple[Deduction, tuple[Spec, ...]]]:
    """Yield what is deduced about the inputs, with the transforms that it adds."""
    yield max_length(stock, options), ()
    yield pad_token(stock, options), ()
    yield letter_case(stock, options)
    space = prefix_space(stock, options)
    if space is not None:
        yield space, ()
    yield precision(stock), ()


def window_length(found: Deduction) -> int:
    """Return the number of a `maximal length`."""
    return int(found.value.split()[0])
