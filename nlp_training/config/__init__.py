"""The YAML configuration of a run as pydantic models, and the user modules that it names."""

from nlp_training.config.config import (
    DataConfig,
    GoldenConfig,
    LearningRates,
    ModelConfig,
    RunConfig,
    config_text,
    load_config,
    save_config,
    set_key,
)

__all__ = [
    "DataConfig",
    "GoldenConfig",
    "LearningRates",
    "ModelConfig",
    "RunConfig",
    "config_text",
    "load_config",
    "save_config",
    "set_key",
]
