"""`python -m nlp_inference.cli`."""

from nlp_inference.cli import app

if __name__ == "__main__":
    app()
