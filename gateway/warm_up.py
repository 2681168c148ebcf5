"""Does a version answer as it should? Its golden sentences are asked before it becomes current, and warm it."""

import asyncio
from collections.abc import Sequence

import numpy as np

from gateway.loaded_version import LoadedVersion
from gateway.triton import TritonClient
from repository.golden import replay_batches
from repository.inference import Float32Array, mask_of, pad_batch
from repository.manifest import RepositoryError

WARM_UP_S = 30.0


async def warm_up(triton: TritonClient, version: LoadedVersion, batch_sentences: int) -> None:
    """Ask for the first time: the golden sentences if there are some, tokenized here, else any sentence.

    Args:
        triton: who is asked.
        version: the version.
        batch_sentences: most sentences of one call.

    Raises:
        RepositoryError: the answers are off.
        GatewayError, TimeoutError: there was no answer.
    """
    if version.golden is None:
        encoding = version.tokenizer.encode("a b c")
        # A tokenizer of another script may find no token in it.
        await _ask(triton, version, [encoding.ids or [version.manifest.pad_token_id]], [None])
        return
    texts = [sentence.input for sentence in version.golden.sentences]
    encodings = await asyncio.to_thread(version.tokenizer.encode_batch, texts)
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, version.manifest.token_types) for encoding in encodings]
    if not all(ids):
        raise RepositoryError(f"golden sentence {ids.index([]) + 1} has no token here; it had some at export")
    logits = np.empty((len(ids), len(version.manifest.labels)), dtype=np.float32)
    for batch in replay_batches(ids, batch_sentences):
        logits[batch] = await _ask(triton, version, [ids[index] for index in batch], [masks[index] for index in batch])
    version.golden.check(logits, ids)


async def _ask(
    triton: TritonClient, version: LoadedVersion, ids: Sequence[list[int]], masks: Sequence[list[int] | None]
) -> Float32Array:
    manifest = version.manifest
    inputs = pad_batch(ids, manifest.pad_token_id, masks=masks)
    async with asyncio.timeout(WARM_UP_S):
        logits = await triton.infer(version.number, inputs)
    if logits.ndim != 2 or len(logits) != len(ids):
        raise RepositoryError(f"the graph gives logits {list(logits.shape)} for {len(ids)} sentences")
    if logits.shape[1] != len(manifest.labels):
        raise RepositoryError(
            f"the graph gives {logits.shape[1]} logits for the manifest's {len(manifest.labels)} labels"
        )
    return logits
