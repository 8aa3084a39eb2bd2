"""Augmentations: random changes of training documents and their gold. Importing this package registers all of them."""

from nlp_training.augment.accents import DropAccents
from nlp_training.augment.augmenter import AugmentationWarning, Augmented, Augmenter
from nlp_training.augment.base import Augmentation, LocalChange, Rewrite, SpanGuard
from nlp_training.augment.case import ChangeCase
from nlp_training.augment.concatenation import JoinDocuments
from nlp_training.augment.corpus import Corpus
from nlp_training.augment.encoding import BreakEncoding
from nlp_training.augment.entities import ReplaceEntities
from nlp_training.augment.html import WrapHtml
from nlp_training.augment.keyboard import KeyboardTypos
from nlp_training.augment.ocr import OcrErrors
from nlp_training.augment.punctuation import CurlyPunctuation
from nlp_training.augment.sentences import ShuffleSentences
from nlp_training.augment.whitespace import MessyWhitespace
from nlp_training.augment.words import DropWords, SwapWords

__all__ = [
    "Augmentation",
    "AugmentationWarning",
    "Augmented",
    "Augmenter",
    "BreakEncoding",
    "ChangeCase",
    "Corpus",
    "CurlyPunctuation",
    "DropAccents",
    "DropWords",
    "JoinDocuments",
    "KeyboardTypos",
    "LocalChange",
    "MessyWhitespace",
    "OcrErrors",
    "ReplaceEntities",
    "Rewrite",
    "ShuffleSentences",
    "SpanGuard",
    "SwapWords",
    "WrapHtml",
]
