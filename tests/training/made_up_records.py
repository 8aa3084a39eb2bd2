"""Records of JSON Lines files that a tiny model learns in seconds."""

import json
from collections.abc import Callable
from pathlib import Path

NAMES = ("Ana", "Bo", "Carla", "Dov", "Eva", "Finn")
CITIES = ("Rome", "Oslo", "Lima", "Cairo")


def write_jsonl(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def write_splits(folder: Path, records: Callable[[str, int], list[dict[str, object]]]) -> dict[str, str]:
    """Files of a few records to train on, to validate and to test with, by the names of the splits."""
    sizes = {"train": 48, "validation": 12, "test": 8}
    return {name: str(write_jsonl(folder / f"{name}.jsonl", records(name, size))) for name, size in sizes.items()}


def span_records(prefix: str, size: int) -> list[dict[str, object]]:
    """Sentences such as `<b>Ana</b> lives in Rome`, with the spans of the name and of the city."""
    records: list[dict[str, object]] = []
    for index in range(size):
        name, city = NAMES[index % len(NAMES)], CITIES[index % len(CITIES)]
        text = f"<b>{name}</b> lives&nbsp;in {city}"
        spans = [
            {"start": 3, "end": 3 + len(name), "label": "PERSON"},
            {"start": len(text) - len(city), "end": len(text), "label": "CITY"},
        ]
        records.append({"id": f"{prefix}-{index}", "text": text, "spans": spans})
    return records


def label_records(prefix: str, size: int) -> list[dict[str, object]]:
    texts = {"greeting": "Hello there", "farewell": "Goodbye now"}
    labels = list(texts)
    return [
        {
            "id": f"{prefix}-{index}",
            "text": f"{texts[labels[index % 2]]} {NAMES[index % 6]}",
            "label": labels[index % 2],
        }
        for index in range(size)
    ]


LABEL_SETS = {"cold": [], "warm": ["warm"], "hot": ["warm", "hot"]}


def label_set_records(prefix: str, size: int) -> list[dict[str, object]]:
    """Sentences such as `It is hot`, of which a third has no label and a third has two."""
    words = [list(LABEL_SETS)[index % len(LABEL_SETS)] for index in range(size)]
    return [
        {"id": f"{prefix}-{index}", "text": f"It is {word} in {CITIES[index % 4]}", "labels": LABEL_SETS[word]}
        for index, word in enumerate(words)
    ]


def relation_records(prefix: str, size: int) -> list[dict[str, object]]:
    """Sentences such as `Ana of Rome met Bo of Oslo`, with who lives where."""
    records: list[dict[str, object]] = []
    for index in range(size):
        names = [NAMES[(index + shift) % len(NAMES)] for shift in (0, 1 + index % 4)]
        cities = [CITIES[(index + shift) % len(CITIES)] for shift in (0, 1 + index % 3)]
        text, spans = "", []
        for word, label in ((names[0], "PERSON"), (cities[0], "CITY"), (names[1], "PERSON"), (cities[1], "CITY")):
            text += "" if not text else " of " if label == "CITY" else " met "
            spans.append({"start": len(text), "end": len(text) + len(word), "label": label})
            text += word
        relations = [{"head": at, "tail": at + 1, "label": "lives_in"} for at in (0, 2)]
        relations.append({"head": 0, "tail": 2, "label": "met"})
        records.append({"id": f"{prefix}-{index}", "text": text, "spans": spans, "relations": relations})
    return records
