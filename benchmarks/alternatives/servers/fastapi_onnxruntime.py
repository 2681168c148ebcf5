"""FastAPI with ONNX Runtime over an exported version: `fastapi_onnxruntime.py VERSION PORT alone|queue`.

What an engineer writes in an afternoon who has `model.onnx` and `tokenizer.json`: tokenize, pad, run, softmax. With
`queue` one thread takes what waits as one batch; `alone` makes one run a request, in FastAPI's thread pool.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from tokenizers import Tokenizer

MOST_SENTENCES = 32

Best = list[dict[str, str | float]]

version, port, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
manifest = json.loads((version / "manifest.json").read_text())
tokenizer = Tokenizer.from_file(str(version / "tokenizer.json"))
tokenizer.enable_truncation(manifest["max_length"])
tokenizer.enable_padding(pad_id=manifest["pad_token_id"])
session = onnxruntime.InferenceSession(str(version / "model.onnx"), providers=["CPUExecutionProvider"])
own_thread = ThreadPoolExecutor(1)
waiting: asyncio.Queue[tuple[str, asyncio.Future[Best]]] = asyncio.Queue()


def answer(sentences: list[str]) -> list[Best]:
    """The best label of each."""
    encodings = tokenizer.encode_batch(sentences)
    ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
    mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
    logits = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = shifted / shifted.sum(axis=1, keepdims=True)
    return [[{"label": manifest["labels"][int(row.argmax())], "score": float(row.max())}] for row in scores]


async def answer_what_waits() -> None:
    """A batch at a time."""
    loop = asyncio.get_running_loop()
    while True:
        batch = [await waiting.get()]
        while len(batch) < MOST_SENTENCES and not waiting.empty():
            batch.append(waiting.get_nowait())
        try:
            found = await loop.run_in_executor(own_thread, answer, [sentence for sentence, _ in batch])
        except Exception as error:
            for _, answered in batch:
                answered.set_exception(error)
            continue
        for (_, answered), best in zip(batch, found, strict=True):
            answered.set_result(best)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Take from the queue while the server runs."""
    task = asyncio.create_task(answer_what_waits())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)

if mode == "queue":

    @app.get("/classify")
    async def classify_queued(sentence: str) -> Best:
        """The best label."""
        answered: asyncio.Future[Best] = asyncio.get_running_loop().create_future()
        await waiting.put((sentence, answered))
        return await answered

else:

    @app.get("/classify")
    def classify(sentence: str) -> Best:
        """The best label."""
        return answer([sentence])[0]


uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
