"""`python -m nlp_training.cli`."""

from nlp_training.cli import app

if __name__ == "__main__":
    app()
