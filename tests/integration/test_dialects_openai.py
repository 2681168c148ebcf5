"""OpenAI's own client, and what vLLM's and SGLang's users send, against the gateway."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from benchmarks.measure.ports import free_ports
from tests.integration.dialects import MAX_LENGTH, MODELS, MOODS, PRICE, TEXTS, TOPICS, dialects_stack, every_score
from tests.integration.gateways import Gateway, gateway_beside, running_gateway
from tests.integration.stack import Stack
from tests.waiting import wait_until

KEY = "open-sesame"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with dialects_stack(tmp_path_factory.mktemp("openai")) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="unused", max_retries=0) as asking:
        yield asking


@pytest.fixture(scope="module")
def locked(stack: Stack) -> Iterator[Gateway]:
    """A gateway that asks for a key, and lets two sentences wait."""
    with gateway_beside(stack, stack.log.with_name("locked"), API_KEYS=KEY, MAX_WAITING="2") as gateway:
        yield gateway


def at(gateway: Gateway, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{gateway.port}/v1", **{"max_retries": 0, **options})


def scores_of(stack: Stack, text: str) -> dict[str, float]:
    return {str(one["label"]): float(str(one["score"])) for one in every_score(stack.client, text, MOODS)}


def test_moderations_have_the_scores_and_the_labels_that_reach_their_own_thresholds(
    stack: Stack, client: openai.OpenAI
) -> None:
    answer = client.moderations.create(model=MOODS, input=TEXTS)
    assert answer.id.startswith("modr-")
    assert answer.model == MOODS
    assert len(answer.results) == len(TEXTS)
    for text, result in zip(TEXTS, answer.results, strict=True):
        assert result.category_scores.to_dict() == scores_of(stack, text)
    cat = client.moderations.create(model=MOODS, input="cat").results
    # Animal is 0.786 and has 0.75 to reach; both others are 0.5, and have more.
    assert [result.flagged for result in cat] == [True]
    assert cat[0].categories.to_dict() == {"Animal": True, "Other": False, "Plant": False}
    applied = cat[0].category_applied_input_types.to_dict()
    assert applied == {label: ["text"] for label in ("Animal", "Other", "Plant")}
    assert not client.moderations.create(model=MOODS, input="nothing known").results[0].flagged


def test_the_asynchronous_client_gets_the_same(stack: Stack, client: openai.OpenAI) -> None:
    async def asked() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="unused") as asking:
            return await asyncio.gather(*(asking.moderations.create(model=MOODS, input=text) for text in TEXTS))

    alone = [client.moderations.create(model=MOODS, input=text).results for text in TEXTS]
    assert [answer.results for answer in asyncio.run(asked())] == alone


def test_parts_of_one_input_get_one_result_with_the_highest_scores(stack: Stack, client: openai.OpenAI) -> None:
    parts: Any = [{"type": "text", "text": text} for text in ("cat", "oak")]
    (result,) = client.moderations.create(model=MOODS, input=parts).results
    alone = [scores_of(stack, text) for text in ("cat", "oak")]
    assert result.category_scores.to_dict() == {label: max(each[label] for each in alone) for label in alone[0]}
    (one,) = client.moderations.create(model=MOODS, input=parts[:1]).results
    assert one.category_scores.to_dict() == alone[0]


def test_images_are_refused(client: openai.OpenAI) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/cat.png"}}
    for parts in ([image], [{"type": "text", "text": "cat"}, image]):
        with pytest.raises(openai.BadRequestError, match="no images") as refused:
            client.moderations.create(model=MOODS, input=parts)
        assert refused.value.param == "input"
        assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(("model", "what"), [(TOPICS, "one label"), (PRICE, "a number")])
def test_moderations_of_a_model_without_several_labels_are_refused(
    client: openai.OpenAI, model: str, what: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=f"answers {what}"):
        client.moderations.create(model=model, input="cat")


def test_a_model_that_is_not_served_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.moderations.create(model="omni-moderation-latest", input="cat")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=MOODS, input="cat")


def test_models_are_listed(client: openai.OpenAI) -> None:
    listed = client.models.list().data
    assert [model.id for model in listed] == list(MODELS)
    assert listed[0] == client.models.retrieve(TOPICS)
    assert listed[0].object == "model"
    assert listed[0].created > 1_700_000_000
    assert listed[0].to_dict()["max_model_len"] == MAX_LENGTH


def test_a_wrong_key_is_an_authentication_error(locked: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        at(locked, api_key="wrong").moderations.create(model=MOODS, input="cat")
    assert refused.value.code == "invalid_api_key"
    assert at(locked, api_key=KEY).moderations.create(model=MOODS, input="cat").results[0].flagged


def test_the_client_asks_again_after_an_overload_and_then_says_so(locked: Gateway) -> None:
    def rejected() -> float:
        text = locked.client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
        lines = [line for line in text.splitlines() if line.startswith("classifier_rejected_requests_total")]
        return sum(float(line.split()[-1]) for line in lines if "Overloaded" in line)

    before = rejected()
    with pytest.raises(openai.RateLimitError) as refused:
        at(locked, api_key=KEY, max_retries=1).moderations.create(model=MOODS, input=["cat"] * 3)
    assert refused.value.code == "rate_limit_exceeded"
    assert rejected() - before == 2


def test_without_triton_the_client_gets_a_server_error(stack: Stack) -> None:
    (port,) = free_ports(1)
    env = {**stack.env, "TRITON_HTTP_PORT": str(port)}
    with running_gateway(env, stack.log.with_name("alone"), waits=False) as gateway:
        wait_until(lambda: lives(gateway), 30, "the gateway lives")
        with pytest.raises(openai.InternalServerError) as refused:
            at(gateway, api_key="unused").moderations.create(model=MOODS, input="cat")
        assert refused.value.status_code == 503
        assert refused.value.response.headers["retry-after"] == "1"


def lives(gateway: Gateway) -> bool:
    try:
        return gateway.client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


def classified(client: openai.OpenAI, **body: Any) -> Any:
    """vLLM has no client of its own; its users send such a request with OpenAI's."""
    return client.post("/classify", cast_to=httpx.Response, body=body).json()


def test_vllm_s_classification_has_the_best_label_and_all_scores(client: openai.OpenAI) -> None:
    answer = classified(client, model=TOPICS, input=["cat oak", "дуб"], user="somebody")
    assert answer["id"].startswith("classify-")
    assert (answer["object"], answer["model"]) == ("list", TOPICS)
    assert [(one["index"], one["label"], one["num_classes"]) for one in answer["data"]] == [
        (0, "Animal", 3),
        (1, "Plant", 3),
    ]
    assert sum(answer["data"][0]["probs"]) == pytest.approx(1)
    # [CLS] cat oak [SEP], [CLS] дуб [SEP]
    tokens = {"prompt_tokens": 7, "total_tokens": 7, "completion_tokens": 0, "prompt_tokens_details": None}
    assert answer["usage"] == tokens
    assert classified(client, input="cat oak")["data"][0] == answer["data"][0]


@pytest.mark.parametrize("name", ["use_activation", "softmax", "activation"])
def test_logits_in_place_of_probabilities(client: openai.OpenAI, name: str) -> None:
    logits = classified(client, input="cat oak", **{name: False})["data"][0]["probs"]
    scores = classified(client, input="cat oak", **{name: True})["data"][0]["probs"]
    assert logits == [pytest.approx(1.3), 0.0, pytest.approx(0.7)]
    exponentials = [math.exp(each) for each in logits]
    assert scores == [pytest.approx(each / sum(exponentials)) for each in exponentials]


def test_a_text_past_the_limit_is_cut_only_where_that_is_asked(client: openai.OpenAI) -> None:
    long, cut = "cat " * 10 + "oak " * 30, "cat " * 10 + "oak " * 4
    with pytest.raises(openai.BadRequestError, match="has 42 tokens; the model takes at most 16"):
        classified(client, input=long)
    expected = classified(client, input=cut)["data"]
    for asked in (-1, MAX_LENGTH):
        assert classified(client, input=long, truncate_prompt_tokens=asked)["data"] == expected
    assert classified(client, input="cat oak", truncate_prompt_tokens=4)["data"]
    with pytest.raises(openai.BadRequestError, match="a text has 4 tokens"):
        classified(client, input="cat oak", truncate_prompt_tokens=3)
    with pytest.raises(openai.BadRequestError, match="17 is more than the model reads, 16"):
        classified(client, input="cat", truncate_prompt_tokens=17)


@pytest.mark.parametrize(
    "body",
    [
        {"input": [1, 2, 3]},
        {"input": [[1, 2], [3]]},
        {"messages": [{"role": "user", "content": "cat"}]},
        {"input": {"text": "cat"}},
        {"input": "cat", "add_special_tokens": False},
        {"input": "cat", "priority": 3},
        {"input": "cat", "truncate_prompt_tokens": -2},
        {"input": "cat", "use_activation": "no"},
    ],
)
def test_what_a_classifier_cannot_do_is_a_bad_request(client: openai.OpenAI, body: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        classified(client, **body)
    assert refused.value.type == "BadRequestError"
    assert refused.value.code == "400", "a number, of which the client makes a text"
    assert refused.value.param in ("input", *body)


def test_a_model_that_vllm_does_not_serve_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        classified(client, model="gpt", input="cat")
    assert (missing.value.type, missing.value.code) == ("NotFoundError", "404")
