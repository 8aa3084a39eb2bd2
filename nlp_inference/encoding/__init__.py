"""Documents to model inputs: tokens with offsets, windows, input rows."""

from nlp_inference.encoding.encoded_document import EncodedDocument

__all__ = ["EncodedDocument"]
