"""Train a model: `accelerate launch scripts/train.py configs/quickstart.yaml [key=value ...]`."""

import typer

from nlp_inference._utils.extras import exit_on_missing_extra

with exit_on_missing_extra():
    from nlp_training.cli import train_run

if __name__ == "__main__":
    typer.run(train_run)
