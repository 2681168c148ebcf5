"""A card begins with what its data sheet allows, by arithmetic; what the user sets counts for more."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from repository.__main__ import app
from repository.cards import CARDS, UNKNOWN_TOKENS, found_card, known_card
from repository.config import parse_config
from repository.store import ModelStore
from tests.places import ROOT


def test_a_call_fills_the_card_and_fits_into_a_quarter_of_its_memory() -> None:
    for card in CARDS:
        tiles = card.batch_tokens / 128 * 384 / 128
        assert 2 <= tiles / card.multiprocessors <= 8, card.name  # four turns, to the nearest power of two
        assert card.instances * card.batch_tokens * 43_008 <= card.memory_gb * 1e9 / 4, card.name
        assert card.batch_tokens == 2 ** (card.batch_tokens.bit_length() - 1)


def test_a_card_with_little_memory_gets_fewer_tokens_and_one_instance() -> None:
    small = known_card("NVIDIA A100", 1.5)
    assert small.instances == 1
    assert small.batch_tokens < known_card("NVIDIA A100", 40).batch_tokens
    assert small.batch_tokens * 43_008 <= 1.5e9 / 4


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("Tesla T4", "T4"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
    ],
)
def test_a_card_is_known_by_what_nvidia_smi_calls_it(told: str, name: str) -> None:
    assert known_card(told, 40).name == name


@pytest.mark.parametrize("told", ["NVIDIA A10G", "NVIDIA L40", "NVIDIA GeForce GTX 1650", ""])
def test_another_letter_is_another_card(told: str) -> None:
    assert known_card(told, 24).batch_tokens == UNKNOWN_TOKENS


def test_compose_begins_with_what_an_unknown_card_does() -> None:
    assert f"BATCH_TOKENS:-{UNKNOWN_TOKENS}}}" in (ROOT / "docker-compose.yaml").read_text()


@pytest.mark.usefixtures("l4")
def test_the_card_of_this_machine_is_found() -> None:
    found = found_card()
    assert found is not None
    assert (found.name, round(found.memory_gb)) == ("L4", 24)


def test_the_command_prints_lines_for_compose_and_writes_the_config_when_asked(l4: Path) -> None:
    result = CliRunner().invoke(app, ["card", "--configure"])
    assert result.exit_code == 0, result.output
    assert "BATCH_TOKENS=8192\nBATCH_SENTENCES=256\n" in result.stdout
    config = parse_config(ModelStore(l4, "classifier").config())
    assert (config.max_batch_size, config.instance_count) == (256, 2)


def test_without_a_card_the_command_says_so_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(app, ["card"])
    assert result.exit_code == 1
    assert "no NVIDIA card here" in result.stderr


def test_every_card_is_in_the_table() -> None:
    result = CliRunner().invoke(app, ["card", "--all"])
    assert all(card.name in result.stdout for card in CARDS)
