"""The artefact of a run for production: the saved model, golden records, input profile, model card."""

from nlp_training.artefact.save import DataReport, save_artefact

__all__ = ["DataReport", "save_artefact"]
