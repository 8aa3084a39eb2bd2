"""Small sound artefacts to damage, with a tokenizer of each kind, and the process that loads the damaged ones."""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_worker import Zeros
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from nlp_inference import Document, Predictor, Processor
from nlp_inference.golden.recording import record_golden

SCRIPT = Path(__file__).with_name("fuzz_worker.py")
WITHOUT_TORCH = (
    "import runpy, sys; sys.modules['torch'] = None; sys.argv[:] = sys.argv[1:]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Loading a processor needs no torch, and a process without it starts three times as fast."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNKNOWN = SPECIAL[1]
CORPUS = ["Ana lives in Rome.", "word x ##e <b>Ana</b>", "unbelievably long words are cut"] * 4
PROCESSOR = {
    "task": {"token-classification": {"labels": ["PERSON", "CITY"], "scheme": "BIO", "aggregation": "mean"}},
    "preprocess": [
        "fix_encoding",
        {"normalize_unicode": "NFKC"},
        {"replace_regex": {"pattern": "#+", "replacement": " "}},
        {"mask": ["url", "email"]},
    ],
    "postprocess": [
        "trim_spans",
        {"min_score": {"threshold": 0.5, "labels": {"CITY": 0.7}}},
        {"merge_adjacent": {"max_gap": 2, "gap": "[ -]+"}},
    ],
    "windows": {"max_length": 24, "overlap": 6, "on_overflow": "split"},
}
EVIL = "open({ran!r}, 'w').close()\nclass Tokenizer: pass\nclass Processor: pass\nclass Transform: pass\n"


def tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    """A tokenizer of each kind of model that the `tokenizers` library has."""
    word_piece = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    word_piece.normalizer = normalizers.BertNormalizer(lowercase=True)
    word_piece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    word_piece.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=80, special_tokens=SPECIAL))
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL))
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("''", '"')])
    unigram.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(r"\d", "isolated")]
    )
    unigram.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=60, special_tokens=SPECIAL, unk_token=UNKNOWN)
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    made = {}
    for name, tokenizer in {"bpe": bpe, "unigram": unigram}.items():
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        made[name] = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
    made["bert"] = BertTokenizer(vocab=word_piece.get_vocab(), model_max_length=64)
    return made


def save_artefacts(root: Path) -> Path:
    """An artefact with a tokenizer of each kind, in a folder each."""
    for name, tokenizer in tokenizers().items():
        save_artefact(root / name, tokenizer)
    return root


def save_artefact(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """A processor, its golden records, a model's config.json, and code that must never run."""
    processor = Processor(tokenizer, **PROCESSOR)
    processor.save_pretrained(folder)
    config = {"model_type": "bert", "vocab_size": len(tokenizer), "architectures": ["BertForTokenClassification"]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(tokenizer.special_tokens_map), encoding="utf-8")
    (folder / "evil.py").write_text(EVIL.format(ran=str(folder.parent / "ran")), encoding="utf-8")
    documents = [Document(raw_text=text, id=str(number)) for number, text in enumerate(["", *CORPUS[:3], "word " * 40])]
    record_golden(Predictor(processor, Zeros(processor)), {"hostile": documents}).write(folder)


class Case(NamedTuple):
    """One file of one artefact, damaged as the seed says."""

    artefact: str
    file: str
    seed: int


class Worker:
    """A process that takes one damaged file after the other; it is replaced when it dies or takes too long."""

    def __init__(self, root: Path, *, megabytes: int, seconds: float, script: Path = SCRIPT) -> None:
        self.script = script
        self.root, self.megabytes, self.seconds = root, megabytes, seconds
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
        environment["HF_MODULES_CACHE"] = str(self.root.with_suffix(".modules"))
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        command = [sys.executable, "-c", WITHOUT_TORCH, str(self.script), str(self.root), str(self.megabytes)]
        log = self.root.with_suffix(".log")
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, stdin=-1, stdout=-1, stderr=file, env=environment, bufsize=0)
        assert self.answer(120) is not None, log.read_text(encoding="utf-8")

    def answer(self, seconds: float) -> dict[str, Any] | None:
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if readable else b""
        return json.loads(line) if line else None

    def ask(self, case: Case) -> dict[str, Any]:
        """What came of loading an artefact with one file damaged."""
        path = self.root / case.artefact / case.file
        sound = path.read_bytes()
        if self.process is None:
            self.start()
        self.process.stdin.write(json.dumps(case._asdict()).encode() + b"\n")
        found = self.answer(self.seconds)
        if found is None:
            found = {**case._asdict(), "outcome": self.stop()}
            path.write_bytes(sound)
        return found

    def stop(self) -> str:
        """End the process; `HANG` if it was running, or how it had died."""
        process, self.process = self.process, None
        if process is None:
            return "NOT STARTED"
        running = not select.select([process.stdout], [], [], 0)[0]  # a process that died closed its end
        if running:
            process.kill()
        code = process.wait()
        process.stdin.close()
        process.stdout.close()
        return "HANG" if running else f"DIED {code}"


def cases(root: Path, seeds: Iterable[int]) -> Iterator[Case]:
    """Every file of every artefact in turn."""
    files = [(path.parent.name, path.name) for path in sorted(root.glob("*/*.json"))]
    for seed in seeds:
        yield Case(*files[seed % len(files)], seed)


def fuzz(root: Path, seeds: Iterable[int], *, megabytes: int, seconds: float) -> list[dict[str, Any]]:
    """Damage the files of artefacts in turn, once for each seed, and say what came of it."""
    worker = Worker(root, megabytes=megabytes, seconds=seconds)
    try:
        return [worker.ask(case) for case in cases(root, seeds)]
    finally:
        worker.stop()


def table(results: Iterable[dict]) -> list[tuple[str, str, int]]:
    """How often each file came to each outcome."""
    counts = Counter((result["file"], result["outcome"]) for result in results)
    return sorted((file, outcome, count) for (file, outcome), count in counts.items())
