"""FastAPI with the transformers pipeline behind a queue that joins requests: `fastapi_batching.py CHECKPOINT PORT`.

As the guide of transformers to web servers advises: one loop owns the pipeline and takes what waits, for a millisecond
at most, as one batch. The pipeline runs in one thread beside the event loop.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI
from transformers import pipeline

# One thread alone: PyTorch keeps a set of worker threads for each thread that calls it.
own_thread = ThreadPoolExecutor(1)

MOST_SENTENCES = 32
WAIT_S = 0.001

checkpoint, port = sys.argv[1], int(sys.argv[2])
classifier = pipeline("text-classification", model=checkpoint, device="cpu")
waiting: asyncio.Queue[tuple[str, asyncio.Future[list[dict[str, str | float]]]]] = asyncio.Queue()


async def answer() -> None:
    """Answer what waits, a batch at a time."""
    loop = asyncio.get_running_loop()
    while True:
        batch = [await waiting.get()]
        deadline = loop.time() + WAIT_S
        while len(batch) < MOST_SENTENCES:
            try:
                batch.append(await asyncio.wait_for(waiting.get(), deadline - loop.time()))
            except TimeoutError:
                break
        sentences = [sentence for sentence, _ in batch]
        try:
            run = partial(classifier, sentences, batch_size=len(sentences), truncation=True)
            found = await loop.run_in_executor(own_thread, run)
        except Exception as error:
            for _, answered in batch:
                answered.set_exception(error)
            continue
        for (_, answered), best in zip(batch, found, strict=True):
            answered.set_result([best])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Run the loop while the server runs."""
    task = asyncio.create_task(answer())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/classify")
async def classify(sentence: str) -> list[dict[str, str | float]]:
    """The best label."""
    answered: asyncio.Future[list[dict[str, str | float]]] = asyncio.get_running_loop().create_future()
    await waiting.put((sentence, answered))
    return await answered


uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")
