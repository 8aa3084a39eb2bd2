"""Servers that others would write around `transformers.pipeline`, for benchmarks/serve.py.

    uvicorn --factory serve_peers:fastapi --port 8001
    python serve_litserve.py --port 8001

The model is the folder in `SERVE_MODEL`, the CPU threads are `SERVE_THREADS`.
"""

import os
from typing import Any

import torch
from transformers import pipeline


def stock_pipeline() -> Any:
    """Return the pipeline of a token classifier in float32."""
    torch.set_num_threads(int(os.environ.get("SERVE_THREADS", "1")))
    return pipeline(
        "token-classification", model=os.environ["SERVE_MODEL"], aggregation_strategy="simple", device="cpu"
    )


def as_json(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return entities with scores that JSON can express."""
    return [{**entity, "score": float(entity["score"])} for entity in entities]


def fastapi() -> Any:
    """Return an application with a synchronous endpoint, which FastAPI runs in its thread pool."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Input(BaseModel):
        inputs: str

    model = stock_pipeline()
    app = FastAPI()

    @app.post("/")
    def predict(given: Input) -> list[dict[str, Any]]:
        return as_json(model(given.inputs))

    @app.get("/readyz")
    def ready() -> str:
        return "ready"

    return app
