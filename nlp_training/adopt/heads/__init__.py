"""One file for each stock head of transformers: which task it becomes, and what the stock way of using it predicts."""

from nlp_training.adopt.heads.answers import AnswerHead
from nlp_training.adopt.heads.base import HeadPlan, StockHead
from nlp_training.adopt.heads.generation import GenerationHead
from nlp_training.adopt.heads.sequence import SequenceHead
from nlp_training.adopt.heads.tokens import TokenHead

HEADS: tuple[StockHead, ...] = (TokenHead(), SequenceHead(), AnswerHead(), GenerationHead())
"""The heads that can be adopted."""

__all__ = ["HEADS", "HeadPlan", "StockHead"]
