"""Predict a file on all GPUs of a machine: `accelerate launch scripts/predict.py MODEL SOURCE OUTPUT`.

Each process predicts a range of the documents on its own device. The first process then joins the outputs in the order
of the source. All documents are held in memory; for larger files see docs/scale.md.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from accelerate import PartialState

from nlp_inference import Predictor
from nlp_inference._utils.quiet import quiet_libraries
from nlp_inference.document.inputs import Item
from nlp_inference.files.reading import open_source
from nlp_inference.files.records import to_json_line


def numbered(item: Item, number: int) -> Item:
    """Return the item; without an id, its number in the source becomes the id, as with a single process."""
    if isinstance(item, str):
        return {"id": str(number), "raw_text": item}
    return {"id": str(number), **item} if isinstance(item, Mapping) else item


def main(
    model: Annotated[str, typer.Argument(help="Model folder or Hub id.")],
    source: Annotated[str, typer.Argument(help="Source file, as for nlp-inference predict.")],
    output: Annotated[Path, typer.Argument(help="Output file in JSON Lines.")],
) -> None:
    """Predict the share of this process and join the shares."""
    quiet_libraries()
    processes = PartialState()
    with open_source(source) as opened:
        items = [numbered(item, number) for number, item in enumerate(opened.items)]
    shares = [output.with_name(f"{output.name}.{number}") for number in range(processes.num_processes)]
    with processes.main_process_first():  # so that only one process downloads
        predictor = Predictor.from_pretrained(model, device=str(processes.device))
    with (
        processes.split_between_processes(items) as share,
        shares[processes.process_index].open("w", encoding="utf-8") as file,
    ):
        for result in predictor.stream(share, on_error="record"):
            file.write(to_json_line(result) + "\n")
    processes.wait_for_everyone()
    if processes.is_main_process:
        with output.open("wb") as joined:
            for path in shares:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, joined)
                path.unlink()
    processes.destroy_process_group()


if __name__ == "__main__":
    typer.run(main)
