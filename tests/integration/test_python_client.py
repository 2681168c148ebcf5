"""The Python client and the shell command against the real gateway: the answers of GET /classify, bit for bit."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.receipts.keys import make_key
from repository.manifest import ProblemType
from tests.integration.client_answers import NAMES, ODD, TEXTS, WORDS, by_get, plain
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.meaning_versions import write_calibrated
from tests.places import ROOT
from tests.version_folders import write_random_version, write_version
from text_classifier_client import (
    Answer,
    AsyncClient,
    AuthenticationError,
    Client,
    NotFoundError,
    Pair,
    RequestError,
    TextError,
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Several models: single label with scores of many digits, several labels, a number, calibrated."""
    folder = tmp_path_factory.mktemp("client")
    models = folder / "models"
    publish(models, "classifier", write_random_version(folder / "random", NAMES, ["Animal", "Art", "Plant"], 16))
    tags = write_version(folder / "tags", WORDS, weight=1.0, problem_type=ProblemType.MULTI_LABEL)
    publish(models, "tags", tags)
    number = write_version(folder / "number", {"cat": "stars"}, problem_type=ProblemType.REGRESSION)
    publish(models, "number", number)
    publish(models, "sure", write_calibrated(folder / "sure", WORDS, temperature=2.0, limits=[0.9, 0.9, 0.9]))
    key = folder / "receipts.pem"
    make_key(key)
    settings = {"MODEL_NAMES": "classifier,tags,number,sure", "FEEDBACK": str(folder / "feedback")}
    with Stack(models, folder / "log", RECEIPT_KEY=str(key), **settings) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as asking:
        yield asking


def test_each_way_of_asking_gives_what_get_gives_bit_for_bit(stack: Stack, client: Client) -> None:
    expected = [by_get(stack, text)[0] for text in [*ODD, *TEXTS]]
    assert len({str(each) for each in expected}) > 50
    assert [plain(client.classify(text)) for text in [*ODD, *TEXTS[:20]]] == expected[: len(ODD) + 20]
    assert [plain(answer) for answer in client.classify([*ODD, *TEXTS])] == expected
    assert [plain(answer) for answer in client.classify(iter([*ODD, *TEXTS]))] == expected

    async def ask() -> tuple[Answer, list[Answer], list[Answer]]:
        async with AsyncClient(stack.url) as asking:
            streamed = [answer async for answer in asking.classify(iter([*ODD, *TEXTS]))]
            return await asking.classify(ODD[0]), await asking.classify([*ODD, *TEXTS]), streamed

    one, listed, streamed = asyncio.run(ask())
    assert plain(one) == expected[0]
    assert [plain(answer) for answer in listed] == [plain(answer) for answer in streamed] == expected


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("classifier", {"top_k": "all"}),
        ("classifier", {"top_k": 2, "truncate": True, "version": 1}),
        ("classifier", {"long_text": "windows", "window_join": "max"}),
        ("tags", {}),
        ("tags", {"min_score": 0.9, "unknown": "none"}),
        ("number", {}),
        ("sure", {"calibrated": True}),
        ("sure", {"coverage": 0.8}),
        ("sure", {"min_score": 0.99}),
    ],
)
def test_options_mean_what_they_mean_in_a_query(
    stack: Stack, client: Client, model: str, options: dict[str, Any]
) -> None:
    texts = ["cat oak", "cat " * 40, "música"]
    answers = client.classify(texts, model=model, **options)
    in_query = {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}
    for text, answer in zip(texts, answers, strict=True):
        expected, headers = by_get(stack, text, model=model, **in_query)
        assert plain(answer) == expected
        assert answer.version == int(headers["x-model-version"])
        assert answer.windows == int(headers.get("x-windows", 1))
        assert answer.model == model
    if options == {"calibrated": True}:
        assert {answer.calibrated for answer in answers} == {True}


def test_several_labels_none_and_a_number(client: Client) -> None:
    assert set(client.classify("cat cat cat oak oak oak", model="tags").names) == {"Animal", "Plant", "Art"}
    assert client.classify("cat", model="tags", min_score=0.99).label is None
    assert client.classify("cat cat", model="number").value == 8.0


def test_whether_a_text_was_cut(client: Client) -> None:
    assert client.classify("cat " * 40).truncated is True
    assert [answer.truncated for answer in client.classify(["cat", "cat " * 40])] == [None, None]
    assert [answer.truncated for answer in client.classify(["cat", "oak"])] == [False, False]
    with pytest.raises(TextError, match="at most 16") as caught:
        client.classify(["cat", "cat " * 40], truncate=False)
    assert (caught.value.index, caught.value.status) == (1, 413)


@pytest.mark.parametrize("bad", ["\u200b", "\ud800", "x" * 200_000])
def test_a_text_that_the_gateway_refuses_is_named_by_its_place(client: Client, bad: str) -> None:
    texts = [*TEXTS[:100], bad, *TEXTS[100:]]
    with pytest.raises(TextError) as caught:
        client.classify(texts)
    assert caught.value.index == 100
    assert caught.value.request_id
    outcomes = client.classify([bad, *texts, bad, ""], on_error="return")
    assert [place for place, each in enumerate(outcomes) if isinstance(each, TextError)] == [0, 101, 202, 203]


def test_pairs_are_refused_one_by_one_too(client: Client) -> None:
    pairs: list[str | Pair] = [Pair("cat", "oak"), Pair("cat " * 40, "oak " * 40), Pair("", "\u200b"), "cat"]
    outcomes = client.classify(pairs, truncate=False, on_error="return")
    assert [isinstance(each, TextError) for each in outcomes] == [False, True, True, False]


def test_what_the_whole_request_lacks_is_no_fault_of_a_text(stack: Stack, client: Client) -> None:
    with pytest.raises(RequestError, match="calibration") as caught:
        client.classify(TEXTS, calibrated=True, on_error="return")
    assert not isinstance(caught.value, TextError)
    with pytest.raises(NotFoundError, match="No model of that name"):
        client.classify("cat", model="nobody")
    with Client(f"{stack.url}/elsewhere") as lost, pytest.raises(NotFoundError):
        lost.classify("cat")


def test_receipts_and_feedback(client: Client) -> None:
    first, second = client.classify(["cat", "oak"], receipt=True)
    assert first.receipt
    assert first.receipt != second.receipt
    client.feedback(second, "Plant")
    with pytest.raises(RequestError):
        client.feedback(second, "nothing that the model knows")


@pytest.fixture(scope="module")
def narrow(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that takes few texts and short bodies, and wants a key."""
    settings = {"MAX_SENTENCES": "20", "MAX_BODY_BYTES": "4000", "MAX_WINDOWS": "8", "API_KEYS": "other,right"}
    with gateway_beside(stack, tmp_path_factory.mktemp("narrow") / "log", **settings) as gateway:
        yield gateway


def test_a_gateway_that_takes_few_texts_answers_all_of_them(stack: Stack, narrow: Gateway) -> None:
    texts = [*TEXTS, "cat " * 500, *["cat " * 100] * 30]
    with Client(f"http://127.0.0.1:{narrow.port}", api_key="right") as client:
        answers = client.classify(texts)
        assert [plain(answer) for answer in answers] == [by_get(stack, text)[0] for text in texts]
        windows = client.classify(["cat " * 30] * 10, long_text="windows")
        assert {answer.windows for answer in windows} == {4}


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_key_is_needed_where_the_gateway_wants_one(narrow: Gateway, key: str | None) -> None:
    with Client(f"http://127.0.0.1:{narrow.port}", api_key=key) as client:
        with pytest.raises(AuthenticationError, match="api_key=") as caught:
            client.classify("cat")
        assert caught.value.status == 401
        assert "right" not in str(caught.value)


def test_a_gateway_that_restarts_is_asked_again(stack: Stack, tmp_path: Path) -> None:
    answers: list[Answer] = []
    with contextlib.ExitStack() as open_now:
        gateway = open_now.enter_context(gateway_beside(stack, tmp_path / "first"))
        client = open_now.enter_context(Client(f"http://127.0.0.1:{gateway.port}", retries=50))
        expected = client.classify(TEXTS[0])
        gateway.process.terminate()
        gateway.process.wait(30)
        asking = threading.Thread(target=lambda: answers.extend(client.classify(TEXTS[:1])))
        asking.start()
        with (tmp_path / "second").open("wb") as log:
            command = [sys.executable, "-m", "gateway"]
            env = {**stack.env, "GATEWAY_PORT": str(gateway.port)}
            again = open_now.enter_context(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        open_now.callback(again.terminate)
        asking.join(120)
    assert [plain(answer) for answer in answers] == [plain(expected)]


def shell(stack: Stack, *arguments: str, given: str | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "TEXT_CLASSIFIER_URL": stack.url, "NO_COLOR": "1", **env}
    command = [sys.executable, "-m", "text_classifier", "classify", *arguments]
    stdin = {"input": given} if given is not None else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, **stdin)  # type: ignore[call-overload, no-any-return]


def test_the_shell_prints_a_line_for_each_text(stack: Stack) -> None:
    done = shell(stack, "cat oak", "música\tcat\x1b[2J")
    scored = [by_get(stack, text)[0][0] for text in ("cat oak", "música\tcat\x1b[2J")]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(
        f"{each['label']}\t{each['score']:.4f}\t{text}\n"
        for each, text in zip(scored, ("cat oak", "música cat\\x1b[2J"), strict=True)
    )


def test_the_shell_reads_lines_and_keeps_their_places(stack: Stack) -> None:
    texts = [*TEXTS, "", "cat", " "]
    done = shell(stack, "--json", given="\ufeff" + "\n".join(texts))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["text"] for line in lines] == texts
    for line in lines:
        expected = by_get(stack, line["text"])[0] if line["text"].strip() else None
        assert line.get("labels") == expected
        assert line["label"] == (expected[0]["label"] if expected else None)


def test_the_shell_labels_a_table(stack: Stack, tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text('id,title,body\n1,"cat\n""oak""",\n2,,\n3,oak,música\n')
    done = shell(stack, "--file", str(table), "--text", "title", "--text", "body", "--csv", "--top-k", "2")
    assert done.returncode == 0, done.stderr
    joined = ['cat\n"oak"', "oak música"]
    labels = ["|".join(each["label"] for each in by_get(stack, text, top_k=2)[0]) for text in joined]
    scores = ["|".join(f"{each['score']:.6g}" for each in by_get(stack, text, top_k=2)[0]) for text in joined]
    assert done.stdout == (
        "id,title,body,label,score,model_version\n"
        f'1,"cat\n""oak""",,{labels[0]},{scores[0]},1\n'
        "2,,,,,\n"
        f"3,oak,música,{labels[1]},{scores[1]},1\n"
    )


def test_the_shell_reads_json_lines(stack: Stack, tmp_path: Path) -> None:
    table = tmp_path / "in.jsonl"
    table.write_text('{"id": 1, "text": "cat"}\n"oak"\n')
    done = shell(stack, "--file", str(table), "--json", "--model", "tags")
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["Animal", "Plant"]


def test_the_shell_stops_at_a_text_that_is_refused_or_keeps_its_place(stack: Stack) -> None:
    given = "cat\n\u200b\noak\n"
    stopped = shell(stack, given=given)
    assert stopped.returncode == 1
    assert "line 2: The sentence is empty" in stopped.stderr
    kept = shell(stack, "--on-error", "keep", "--json", given=given)
    assert (kept.returncode, kept.stderr) == (1, "1 of 3 texts were refused.\n")
    assert ["error" in json.loads(line) for line in kept.stdout.splitlines()] == [False, True, False]


def test_the_shell_takes_its_key_from_the_environment(stack: Stack, narrow: Gateway) -> None:
    url = f"http://127.0.0.1:{narrow.port}"
    assert shell(stack, "cat", TEXT_CLASSIFIER_URL=url).returncode == 1
    assert shell(stack, "cat", TEXT_CLASSIFIER_URL=url, TEXT_CLASSIFIER_API_KEY="right").returncode == 0


def test_the_shell_answers_lines_as_they_come_and_keeps_them_at_ctrl_c(stack: Stack) -> None:
    environment = {**os.environ, "TEXT_CLASSIFIER_URL": stack.url}
    process = subprocess.Popen(
        [sys.executable, "-m", "text_classifier", "classify"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for text in ("cat", "oak cat"):
        process.stdin.write(f"{text}\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(f"\t{text}\n")
    process.send_signal(2)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == ("", "", 130)


def test_the_shell_ends_quietly_when_nobody_reads_on(stack: Stack) -> None:
    environment = {**os.environ, "TEXT_CLASSIFIER_URL": stack.url}
    line = f"yes cat | {sys.executable} -m text_classifier classify | head -n 2; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert [text.rpartition("\t")[2] for text in done.stdout.splitlines()] == ["cat", "cat", "141"]
    assert done.stderr == ""
