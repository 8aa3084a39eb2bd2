"""Publish a trained model: `python scripts/publish.py runs/quickstart org/model [--private]`."""

import typer

from nlp_inference._utils.extras import exit_on_missing_extra

with exit_on_missing_extra():
    from nlp_training.cli.publish import publish_run

if __name__ == "__main__":
    typer.run(publish_run)
