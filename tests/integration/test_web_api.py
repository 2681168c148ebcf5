"""What the page needs of the API: a version asked by its number, and pairs of texts; every caller may use them."""

import json
from pathlib import Path

import pytest

from repository.golden import GOLDEN_FILE
from repository.manifest import Manifest, digest_file
from tests.integration.gateways import Gateway, publish
from tests.integration.stack import Stack
from tests.integration.web import Web
from tests.version_folders import write_version


@pytest.fixture(scope="module")
def two(web: Web) -> Gateway:
    return web.gateway("two")


def test_a_version_is_asked_by_its_number(two: Gateway) -> None:
    for number, label in ((1, "Plant"), (2, "Tree")):
        one = two.client.get("/classify", params={"sentence": "oak", "version": number})
        assert (one.headers["x-model-version"], one.json()[0]["label"]) == (str(number), label)
        many = two.client.post("/classify", json={"sentences": ["oak", "oak oak"], "version": number})
        assert (many.headers["x-model-version"], many.json()[1][0]["label"]) == (str(number), label)
    assert two.client.get("/classify", params={"sentence": "oak"}).headers["x-model-version"] == "2"
    assert two.client.get("/health/ready").json()["version"] == 2


def test_the_answer_is_the_one_that_the_version_gives_when_it_is_current(web: Web, two: Gateway) -> None:
    pinned = web.gateway("two", MODEL_VERSION="1")
    asked = {"sentence": "oak cat oak", "top_k": "all"}
    expected = pinned.client.get("/classify", params=asked)
    assert expected.headers["x-model-version"] == "1"
    assert two.client.get("/classify", params={**asked, "version": 1}).json() == expected.json()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("99", "Version 99 is not served: GET /models names those that are."),
        ("0", "query.version: Input should be greater than or equal to 1."),
        ("1e3", "query.version: Input should be a valid integer"),
        ("9" * 19, "query.version: Input should be less than or equal to"),
    ],
)
def test_a_version_that_cannot_be_asked_is_refused_in_words(two: Gateway, version: str, said: str) -> None:
    answer = two.client.get("/classify", params={"sentence": "oak", "version": version})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(said)


def test_a_version_that_is_not_used_is_not_asked_either(web: Web) -> None:
    answer = web.stack.client.get("/classify", params={"sentence": "cat", "version": 2})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("Version 2 is not used: ")
    assert str(web.folder) not in answer.text


def test_a_gateway_that_is_held_to_a_version_asks_no_other(web: Web) -> None:
    held = web.gateway("two", MODEL_VERSION="1")
    answer = held.client.get("/classify", params={"sentence": "oak", "version": 2})
    assert (answer.status_code, answer.json()["error"][:42]) == (422, "This gateway answers with version 1 alone:")


def test_a_version_that_answers_otherwise_than_at_export_is_not_asked(tmp_path: Path) -> None:
    older = write_version(tmp_path / "older", {"cat": "Animal", "oak": "Plant"}, golden=["cat", "oak"])
    store = publish(tmp_path / "repository", "classifier", older)
    store.publish(write_version(tmp_path / "newer", {"cat": "Animal", "oak": "Tree"}))
    # As on a machine that computes otherwise: `publish` would have refused it on this one.
    published = store.folder / "1"
    golden = json.loads((published / GOLDEN_FILE).read_text())
    golden["sentences"][0]["logits"].reverse()
    (published / GOLDEN_FILE).write_text(json.dumps(golden))
    manifest = Manifest.read(published)
    files = {**manifest.files, GOLDEN_FILE: digest_file(published / GOLDEN_FILE)}
    manifest.model_copy(update={"files": files}).write(published)
    with Stack(tmp_path / "repository", tmp_path / "log") as stack:
        assert stack.classify("oak").json()[0]["label"] == "Tree"
        answer = stack.client.get("/classify", params={"sentence": "oak", "version": 1})
        error = "Version 1 does not answer as it did at export."
        assert (answer.status_code, answer.json()) == (422, {"error": error})
        assert stack.classify("oak").json()[0]["label"] == "Tree"


def test_a_pair_is_classified_as_by_predict(web: Web) -> None:
    client = web.gateway("pairs").client
    pairs = [["cat oak", "oak oak"], ["cat oak", "cat"], ["oak", "oak"]]
    expected = client.post("/predict", json={"inputs": pairs}).json()
    many = client.post("/classify", json={"pairs": pairs, "top_k": "all"})
    assert many.json() == expected
    for (first, second), answer in zip(pairs, expected, strict=True):
        one = client.get("/classify", params={"sentence": first, "text_pair": second, "top_k": "all"})
        assert one.json() == answer
    assert client.get("/classify", params={"sentence": "cat oak", "top_k": "all"}).json() != expected[0]


@pytest.mark.parametrize("body", [{"pairs": [["a"]]}, {"pairs": []}, {"pairs": [["a", "b"]], "sentences": ["a"]}, {}])
def test_a_body_with_no_or_half_a_pair_or_two_kinds_is_refused(two: Gateway, body: dict[str, object]) -> None:
    assert two.client.post("/classify", json=body).status_code == 422


def test_the_models_say_the_threshold_and_why_a_version_has_its_precision(web: Web) -> None:
    found = web.gateway("tags", THRESHOLD="0.9").client.get("/models").json()
    assert found["threshold"] == 0.9
    assert found["versions"][0]["precision_reason"] == "asked for"
