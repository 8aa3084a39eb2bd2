"""One file a loss: what training minimises instead of the model's own loss.

Every module of this package is imported with it, so that a loss enters the registry by being a file here.
"""

from importlib import import_module
from pkgutil import iter_modules

from nlp_training.losses.asymmetric import Asymmetric
from nlp_training.losses.base import Items, Loss
from nlp_training.losses.binary_cross_entropy import BinaryCrossEntropy
from nlp_training.losses.class_weights import ClassWeights
from nlp_training.losses.corn import Corn
from nlp_training.losses.cross_entropy import CrossEntropy
from nlp_training.losses.dice import Dice
from nlp_training.losses.distillation import Distillation
from nlp_training.losses.focal import Focal
from nlp_training.losses.heads import HeadsLoss
from nlp_training.losses.mixup import Mixup
from nlp_training.losses.numeric import Huber, MeanSquaredError
from nlp_training.losses.r_drop import RDrop
from nlp_training.losses.supervised_contrastive import SupervisedContrastive
from nlp_training.losses.tversky import Tversky

__all__ = [
    "Asymmetric",
    "BinaryCrossEntropy",
    "ClassWeights",
    "Corn",
    "CrossEntropy",
    "Dice",
    "Distillation",
    "Focal",
    "HeadsLoss",
    "Huber",
    "Items",
    "Loss",
    "MeanSquaredError",
    "Mixup",
    "RDrop",
    "SupervisedContrastive",
    "Tversky",
]

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
