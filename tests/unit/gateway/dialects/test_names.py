"""`DIALECTS` opens what it names, and nothing else."""

import pytest
from pydantic import ValidationError

from gateway.dialects.names import DIALECTS, chosen
from gateway.dialects.opened import manner_at, opened
from gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set(DIALECTS)),
        ("all", set(DIALECTS)),
        (" ALL ", set(DIALECTS)),
        ("none", set()),
        ("tei", {"tei"}),
        ("KServe, vllm,", {"kserve", "vllm"}),
    ],
)
def test_the_setting_names_dialects(text: str, expected: set[str]) -> None:
    assert chosen(text) == expected
    assert GatewaySettings(dialects=text).dialects == text


@pytest.mark.parametrize("text", ["triton", "tei,grpc", "none,tei", "all,tei"])
def test_a_name_that_is_none_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValidationError, match="tei, huggingface, sagemaker, vllm, openai, kserve, infinity, all and"):
        GatewaySettings(dialects=text)


@pytest.mark.parametrize("dialect", [*DIALECTS, None])
def test_only_the_routes_of_what_is_open_are_there(dialect: str | None) -> None:
    paths = {
        "tei": {"/predict", "/info", "/tokenize", "/decode", "/health", "/"},
        "huggingface": {"/"},
        "sagemaker": {"/ping", "/invocations"},
        "vllm": {"/v1/classify", "/v1/models", "/v1/models/{model}"},
        "openai": {"/v1/moderations", "/v1/models", "/v1/models/{model}"},
    }
    spoken = opened(frozenset() if dialect is None else frozenset({dialect}))
    found = {
        str(getattr(route, "path", "")) for router in (*spoken.protected, *spoken.public) for route in router.routes
    }
    if dialect == "kserve":
        assert found
        assert all(path.startswith("/v2") for path in found)
    else:
        assert found == paths.get(dialect or "", set())


def test_a_path_is_refused_in_the_words_of_the_dialect_that_it_belongs_to() -> None:
    everything = frozenset(DIALECTS)
    assert manner_at("/classify", everything) is None
    assert manner_at("/health/ready", everything) is None
    assert manner_at("/v2x", everything) is None
    assert manner_at("/v1/embeddings", frozenset({"tei"})) is None
    assert manner_at("/v1/embeddings", frozenset({"vllm"})) is manner_at("/v1/models", everything)
    assert manner_at("/v1/classify", everything) is not manner_at("/v1/moderations", everything)
