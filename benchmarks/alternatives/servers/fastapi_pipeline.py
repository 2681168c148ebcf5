"""FastAPI with the transformers pipeline, one call a request: `fastapi_pipeline.py CHECKPOINT PORT`.

A plain `def` route, which FastAPI runs in its thread pool so that its loop stays free. FastAPI joins no requests.
"""

import sys

import uvicorn
from fastapi import FastAPI
from transformers import pipeline

checkpoint, port = sys.argv[1], int(sys.argv[2])
classifier = pipeline("text-classification", model=checkpoint, device="cpu")
app = FastAPI()


@app.get("/classify")
def classify(sentence: str) -> list[dict[str, str | float]]:
    """The best label."""
    return classifier(sentence, truncation=True)


uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
