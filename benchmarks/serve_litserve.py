"""LitServe around `transformers.pipeline`, for benchmarks/serve.py; needs `pip install litserve`.

It collects up to 32 requests for 5 ms. The model and the threads are those of serve_peers.py.
"""

import sys
from typing import Any

import litserve
from serve_peers import as_json, stock_pipeline


class Api(litserve.LitAPI):
    """The pipeline with batches."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the form of LitServe
        """Load the model."""
        self.model = stock_pipeline()

    def decode_request(self, request: dict[str, str]) -> str:
        """Return the text."""
        return request["inputs"]

    def predict(self, texts: list[str]) -> list[Any]:
        """Predict the texts of a batch."""
        return list(self.model(texts, batch_size=32))

    def encode_response(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the entities."""
        return as_json(output)


if __name__ == "__main__":
    api = Api(max_batch_size=32, batch_timeout=0.005, api_path="/predict")
    server = litserve.LitServer(api, accelerator="cpu", healthcheck_path="/readyz")
    server.run(port=int(sys.argv[sys.argv.index("--port") + 1]), generate_client_file=False)
