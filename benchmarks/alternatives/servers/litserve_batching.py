"""LitServe with batching over the transformers pipeline: `litserve_batching.py CHECKPOINT PORT`."""

import sys

import litserve
from transformers import pipeline

checkpoint, port = sys.argv[1], int(sys.argv[2])


class Classifier(litserve.LitAPI):
    """One worker with one copy of the pipeline."""

    def setup(self, device: str) -> None:
        """Load the pipeline."""
        self.pipeline = pipeline("text-classification", model=checkpoint, device=device)

    def decode_request(self, request: dict[str, str]) -> str:
        """`{"sentence": …}`."""
        return request["sentence"]

    def batch(self, inputs: list[str]) -> list[str]:
        """As they are."""
        return inputs

    def predict(self, sentences: list[str]) -> list[dict[str, str | float]]:
        """The best label of each."""
        return self.pipeline(sentences, batch_size=len(sentences), truncation=True)

    def unbatch(self, output: list[dict[str, str | float]]) -> list[dict[str, str | float]]:
        """As they are."""
        return output

    def encode_response(self, output: dict[str, str | float]) -> list[dict[str, str | float]]:
        """One label."""
        return [output]


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(max_batch_size=32, batch_timeout=0.001), accelerator="cpu")
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning", access_log=False)
