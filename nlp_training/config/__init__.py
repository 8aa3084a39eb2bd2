"""The YAML configuration of a run as pydantic models, and the user modules that it names."""

from nlp_training.config.config import (
    DataConfig,
    GoldenConfig,
    RunConfig,
    config_text,
    load_config,
    save_config,
    set_key,
)
from nlp_training.config.model import DistillationSettings, EmaSettings, FewShot, LearningRates, ModelConfig

__all__ = [
    "DataConfig",
    "DistillationSettings",
    "EmaSettings",
    "FewShot",
    "GoldenConfig",
    "LearningRates",
    "ModelConfig",
    "RunConfig",
    "config_text",
    "load_config",
    "save_config",
    "set_key",
]
