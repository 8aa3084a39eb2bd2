"""Tiny tokenizers of the kinds that transformers has, by what they do to offsets: `make_tokenizer(kind)`."""

from functools import cache

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CORPUS = (
    "Ana Silva lives in Rome. Bo, who lives in Oslo, met Ana in Rome!",
    "José André and Zoë met Nguyễn Văn An in Düsseldorf; it's 5'7\" tall",
    "東京 ローマ ｱﾅ 서울 ภาษาไทย हिन्दी क्षत्रिय русский",
) * 3
BYTES = tuple(f"<0x{number:02X}>" for number in range(256))
GPT_4 = r"(?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""The pattern that Llama 3 splits by."""


def _word_pieces(*, lowercase: bool, strip_accents: bool | None) -> Tokenizer:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=list(SPECIAL), show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _bytes(*, pattern: str | None = None, compose: bool = False, trim: bool = True, prefix: bool = False) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    if compose:
        backend.normalizer = normalizers.NFC()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pattern is None)
    split = pattern and pre_tokenizers.Split(Regex(pattern), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level]) if split else byte_level
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.RobertaProcessing(
        ("[SEP]", 3), ("[CLS]", 2), trim_offsets=trim, add_prefix_space=prefix
    )
    return backend


def _unigram(*steps: normalizers.Normalizer, split: bool, scheme: str = "always") -> Tokenizer:
    backend = Tokenizer(models.Unigram())
    if steps:
        backend.normalizer = normalizers.Sequence(list(steps))
    spaces = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=True)
    whole = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces])
    backend.pre_tokenizer = whole if split else spaces
    trainer = trainers.UnigramTrainer(
        vocab_size=230, special_tokens=list(SPECIAL), unk_token="[UNK]", show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


def _without_pre_tokenizer(*, prepend: bool, byte_fallback: bool = True) -> Tokenizer:
    """BPE over the complete text, as Llama 2 and Gemma have it."""
    letters = sorted({letter for text in CORPUS[:1] for letter in text if letter != " "})
    merges = [("▁", "A"), ("n", "a"), ("▁A", "na"), ("▁", "R"), ("o", "m"), ("▁R", "om"), ("e", "."), ("▁", "i")]
    merges += [("▁i", "n"), ("a", "▁"), ("l", "i"), ("v", "e"), ("ve", "s"), ("▁", "li"), ("▁", "w")]
    merges += [("h", "o"), ("▁w", "ho"), ("▁who", "▁li")]
    joined = [left + right for left, right in merges]
    bytes_known = BYTES if byte_fallback else ()
    vocab = dict.fromkeys((*SPECIAL, *bytes_known, "▁", *letters, *joined))
    backend = Tokenizer(
        models.BPE(
            {token: number for number, token in enumerate(vocab)},
            merges,
            unk_token="[UNK]",
            fuse_unk=True,
            byte_fallback=byte_fallback,
        )
    )
    spaces = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces]) if prepend else spaces
    return backend


def _nfkc() -> list[normalizers.Normalizer]:
    return [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]


def _bare() -> list[normalizers.Normalizer]:
    return [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]


_MAKERS = {
    "bert uncased": lambda: _word_pieces(lowercase=True, strip_accents=None),
    "bert cased": lambda: _word_pieces(lowercase=False, strip_accents=False),
    "bert cased without accents": lambda: _word_pieces(lowercase=False, strip_accents=True),
    "roberta": _bytes,
    "roberta with prefix": lambda: _bytes(prefix=True),
    "deberta": lambda: _bytes(trim=False),
    "modernbert": lambda: _bytes(compose=True),
    "llama 3": lambda: _bytes(pattern=GPT_4),
    "xlm-r": lambda: _unigram(*_nfkc(), split=True),
    "camembert": lambda: _unigram(*_nfkc(), split=False),
    "albert": lambda: _unigram(*_bare(), split=True),
    "deberta v3": lambda: _unigram(normalizers.Strip(), normalizers.NFKC(), split=False),
    "t5": lambda: _unigram(split=False, scheme="first"),
    "llama 2": lambda: _without_pre_tokenizer(prepend=True),
    "gemma": lambda: _without_pre_tokenizer(prepend=False),
    "gemma without bytes": lambda: _without_pre_tokenizer(prepend=False, byte_fallback=False),
}
KINDS = tuple(_MAKERS)


@cache
def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer with special tokens around a text, whose model reads 64 tokens."""
    backend = _MAKERS[kind]()
    if backend.post_processor is None:
        backend.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=64, **dict(zip(names, SPECIAL, strict=True))
    )
