"""Transforms of texts before the model reads them. Importing this package registers every built-in transform."""

from nlp_inference.transforms import post
from nlp_inference.transforms.base import PostTransform, Transform
from nlp_inference.transforms.case import Casefold, Lowercase
from nlp_inference.transforms.compose import Compose
from nlp_inference.transforms.control import RemoveControl
from nlp_inference.transforms.encoding import FixEncoding
from nlp_inference.transforms.function import FunctionTransform, text_transform
from nlp_inference.transforms.html import StripHtml
from nlp_inference.transforms.mask import Mask
from nlp_inference.transforms.punctuation import NormalizePunctuation
from nlp_inference.transforms.regex import ReplaceRegex
from nlp_inference.transforms.unicode import NormalizeUnicode, StripAccents
from nlp_inference.transforms.whitespace import CollapseWhitespace

__all__ = [
    "Casefold",
    "CollapseWhitespace",
    "Compose",
    "FixEncoding",
    "FunctionTransform",
    "Lowercase",
    "Mask",
    "NormalizePunctuation",
    "NormalizeUnicode",
    "PostTransform",
    "RemoveControl",
    "ReplaceRegex",
    "StripAccents",
    "StripHtml",
    "Transform",
    "post",
    "text_transform",
]
