"""Texts without a token, and more sentences than may wait: refused at once, and nobody beside them notices."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tokenizers import Tokenizer, models

from repository.manifest import TOKENIZER_FILE
from tests.integration.callers import ask_at_once
from tests.integration.gateways import gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.test_faults import HOLD, WAITING, triton_hanging
from tests.version_folders import write_manifest, write_version
from tests.waiting import wait_until

LETTERS = {"a": "Animal", "b": "Plant"}
LIMIT = 2048


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A model whose tokenizer knows two letters and has no token for others, nor any that frames a sentence."""
    folder = tmp_path_factory.mktemp("admission")
    version = write_version(folder / "version", LETTERS, unknown_to_graph=())
    vocabulary = Tokenizer.from_file(str(version / TOKENIZER_FILE)).get_vocab()
    known = {token: index for token, index in vocabulary.items() if len(token) == 1}
    unframed = Tokenizer(models.BPE(vocab={**{f"<{i}>": i for i in range(4)}, **known}, merges=[]))
    unframed.save(str(version / TOKENIZER_FILE))
    write_manifest(version, sorted(set(LETTERS.values())))
    publish(folder / "repository", "classifier", version)
    publish(folder / "repository", "slow", write_version(folder / "slow", LETTERS, layers=10))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


def test_a_text_without_a_token_is_refused_and_those_beside_it_are_answered(stack: Stack) -> None:
    sentences = ["aab", "日本語", "ba" * 200, "a", "жж", "b"] * 10
    load = asyncio.run(ask_at_once(stack.ports["GATEWAY_PORT"], sentences))
    for sentence, reply in zip(sentences, load.replies, strict=True):
        assert reply.status == (200 if sentence[0] in LETTERS else 422), reply
    refused = json.loads(load.replies[1].body)["error"]
    assert refused == "The sentence has no token: the model knows none of its signs."
    together = stack.client.post("/classify", json={"sentences": ["a", "日本語"]})
    assert together.status_code == 422
    assert "Sentence 2 has no token" in together.json()["error"]
    for inputs in ("日本語", [["a"], ["日本語"]], ["日本語", "ж"]):
        answer = stack.client.post("/predict", json={"inputs": inputs})
        assert answer.status_code == 422
        assert answer.json()["error_type"] == "Validation"
    pair = stack.client.post("/predict", json={"inputs": ["a", "日本語"]})
    assert pair.status_code == 200


def test_no_more_sentences_are_taken_in_than_may_wait(stack: Stack, tmp_path: Path) -> None:
    settings = {**HOLD, "DEADLINE_MS": "15000", "MAX_WAITING": str(LIMIT), "MODEL_NAME": "slow"}
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway:
        with triton_hanging(stack):
            answers, most = asyncio.run(post_at_once(gateway.port, 60))
            wait_until(lambda: gateway.metric(WAITING) == 0, 20, "every place is given back")
        refused = [answer for answer in answers if answer.status_code == 503]
        assert len(refused) >= 58
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert 0 < most <= LIMIT
        answer = gateway.client.post("/classify", json={"sentences": ["a b"] * 512})
        assert answer.status_code == 200


async def post_at_once(port: int, count: int) -> tuple[list[httpx.Response], float]:
    """As many requests of 1,024 sentences at the same moment; and the most that were seen to wait."""
    body = json.dumps({"sentences": ["a b a"] * 1024})
    headers = {"content-type": "application/json"}
    most = 0.0

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits) as client:
        asked = asyncio.gather(*(client.post("/classify", content=body, headers=headers) for _ in range(count)))
        while not asked.done():
            for line in (await client.get("/metrics")).text.splitlines():
                if line.startswith(f"{WAITING}{{"):
                    most = max(most, float(line.rpartition(" ")[2]))
            await asyncio.sleep(0.05)
        return await asked, most
