"""Compression of a trained model: students with a part of its layers, trained by distillation, exported and measured.

`students.py` cuts a student out of its teacher, `training.py` trains it by the route of every run, `candidates.py`
exports and scores it, `measuring.py` measures it in fresh processes, and `choice.py` chooses.
"""

from nlp_training.compress.candidates import Candidate
from nlp_training.compress.choice import Choice
from nlp_training.compress.options import CompressOptions
from nlp_training.compress.run import Compression, compress

__all__ = ["Candidate", "Choice", "CompressOptions", "Compression", "compress"]
