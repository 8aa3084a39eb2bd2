"""Damage to saved files, the same for the same seed: changes to what a JSON file says, and to its bytes."""

import copy
import json
from random import Random

NASTY_TEXTS = (
    *(
        "",
        " ",
        "\x00",
        "a",
        "\ud800",
        "é",
        "x" * 100_000,
        "__import__('os').system('id')",
        "os.system",
        "builtins.eval",
    ),
    *("evil", "evil.Transform", "evil.py", "../evil", "/etc/passwd", "file:///etc/passwd", "org/model--evil.Tokenizer"),
    *("(a+)+$", "(?:", "\\", "[", "{{ ''.__class__ }}", "{% for x in range(9**9) %}{% endfor %}", "$0", "[CLS]", "NaN"),
    *("BertTokenizer", "LlamaTokenizer", "T5Tokenizer", "GPT2Tokenizer", "PreTrainedTokenizer", "MistralCommonBackend"),
    *(
        "BPE",
        "WordPiece",
        "Unigram",
        "WordLevel",
        "Sequence",
        "ByteLevel",
        "Metaspace",
        "Split",
        "Replace",
        "Precompiled",
    ),
    *("TemplateProcessing", "lowercase", "shout", "token-classification", "text-classification", "NFKC", "bert"),
)
NASTY_NUMBERS = (
    *(0, -0.0, 1, -1, 2, 7, 0.5, 1e308, -1e308, 1e-320, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 2**70),
    *(-(2**31), -(2**63), 10**400, 100_000, 10_000_000, float("nan"), float("inf"), float("-inf")),
)
NASTY_KEYS = (
    *("auto_map", "type", "custom", "fingerprint", "chat_template", "audio_tokenizer", "tokenizer_class", "vocab_file"),
    *("added_tokens", "added_tokens_decoder", "extra_special_tokens", "model_max_length", "unk_token", "pad_token"),
    *("fast_tokenizer_files", "gguf_file", "tokenizer_file", "tokenizer_object", "model", "truncation", "padding"),
    *("__class__", "__type", "init_inputs", "processor_class", "is_local", "name_or_path", "backend", "additional", ""),
)
DEEP = 3_000


def damage(content: bytes, seed: int) -> bytes:
    """A damaged copy of a JSON file: mostly one to three changes of values, else of bytes."""
    random = Random(seed)  # noqa: S311 - the same damage for the same seed
    if random.random() < 0.2:
        return mutate_bytes(content, random)
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = mutate_value(value, random)
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    text = text.replace(json.dumps(DEEP_MARK), "[" * DEEP + "]" * DEEP)
    return text.encode("utf-8", "surrogatepass")


def mutate_bytes(content: bytes, random: Random) -> bytes:
    """Bytes flipped, cut off, repeated, put in or taken out."""
    data = bytearray(content)
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + random.choice((1, 2, 16, 400)))
    action = random.choice(("flip", "flip", "flip", "cut", "repeat", "insert", "delete", "empty"))
    if action == "flip":
        for _ in range(random.choice((1, 3, 30))):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    elif action == "cut":
        del data[at:]
    elif action == "repeat":
        data[at:at] = data[at:end] * random.choice((1, 2, 300))
    elif action == "insert":
        data[at:at] = random.choice(
            (b"\x00", b"\xff\xfe", b'"', b"{", b"[" * 5000, b"1e9999", b"\\ud800", b",", b"9" * 5000)
        )
    elif action == "delete":
        del data[at:end]
    else:
        data.clear()
    return bytes(data)


DEEP_MARK = "\u0001deep\u0001"


def mutate_value(value, random: Random):
    """A copy of a JSON value with one place in it changed."""
    value = copy.deepcopy(value)
    places = list(_places(value, random))
    if not places:
        return _nasty(random)
    holder, key = random.choice(places)
    action = random.choice(("replace", "replace", "replace", "retype", "remove", "copy", "add", "rename", "grow"))
    if action == "replace":
        holder[key] = _nasty(random)
    elif action == "retype":
        holder[key] = _retyped(holder[key], random)
    elif action == "remove":
        del holder[key]
    elif action == "copy":
        other, other_key = random.choice(places)
        holder[key] = copy.deepcopy(other.get(other_key) if isinstance(other, dict) else _at(other, other_key))
    elif action == "add":
        _add(holder, random)
    elif action == "rename" and isinstance(holder, dict):
        holder[random.choice((*NASTY_KEYS, *NASTY_TEXTS[:10]))] = holder.pop(key)
    elif isinstance(holder[key], list | str):
        holder[key] = holder[key] * random.choice((2, 50, 1_000))
    return value


def _at(values: list, index: int):
    return values[index] if index < len(values) else None


def _places(value, random: Random):
    """Every holder and key, but of long lists and tables a few only, so that a vocabulary does not hide the rest."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items if len(items) <= 40 else random.sample(items, 8):
        yield value, key
        yield from _places(inner, random)


def _nasty(random: Random):
    return random.choice(
        (
            *(None, True, False, [], {}, [[]], [None], {"": None}, {"type": "Sequence"}, DEEP_MARK),
            *(random.choice(NASTY_TEXTS) for _ in range(10)),
            *(random.choice(NASTY_NUMBERS) for _ in range(10)),
            [random.choice(NASTY_TEXTS), None],
            {random.choice(NASTY_KEYS): random.choice(NASTY_TEXTS)},
            {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"], "AutoProcessor": "evil.Processor"},
            [random.choice(NASTY_NUMBERS) for _ in range(3)],
        )
    )


def _retyped(value, random: Random):
    return random.choice((str(value), [value], {"x": value}, {str(value)[:50]: value}, [str(value)], bool(value), None))


def _add(holder, random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice(NASTY_KEYS)] = _nasty(random)
    else:
        holder.insert(random.randrange(len(holder) + 1), _nasty(random))
