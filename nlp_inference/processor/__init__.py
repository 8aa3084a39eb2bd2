"""The Processor: preprocessing, encoding, decoding and postprocessing in one object that is saved with the model."""

from nlp_inference.processor.processor import ImpreciseSpanWarning, Processor, _warn_of_imprecise_spans

__all__ = ["ImpreciseSpanWarning", "Processor", "_warn_of_imprecise_spans"]
