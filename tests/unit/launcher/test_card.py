"""`make up` begins with what the table of cards says, unless the user set it or no card serves."""

from pathlib import Path

import pytest

from launcher.card import card_variables
from repository.config import with_changes
from repository.settings import RepositorySettings
from repository.store import ModelStore
from server.settings import ServerSettings


def test_a_gateway_begins_with_them_where_nothing_is_set(l4: Path) -> None:
    variables, line = card_variables(ServerSettings(), RepositorySettings(), {})
    # config.pbtxt allows no more sentences than 64.
    assert variables == {"BATCH_TOKENS": "8192", "BATCH_SENTENCES": "64"}
    assert "card --configure" in line
    store = ModelStore(l4, "classifier")
    store.change_config(lambda text: with_changes(text, {"max_batch_size": 512}))
    variables, line = card_variables(ServerSettings(), RepositorySettings(), {"BATCH_TOKENS": ""})
    assert variables == {"BATCH_TOKENS": "8192", "BATCH_SENTENCES": "256"}
    assert "card --configure" not in line


@pytest.mark.usefixtures("l4")
def test_what_the_user_set_stays() -> None:
    variables, _ = card_variables(ServerSettings(), RepositorySettings(), {"BATCH_TOKENS": "512"})
    assert variables == {"BATCH_SENTENCES": "64"}
    both = {"BATCH_TOKENS": "512", "BATCH_SENTENCES": "8"}
    assert card_variables(ServerSettings(), RepositorySettings(), both) == ({}, "")


@pytest.mark.usefixtures("l4")
def test_a_triton_that_computes_on_the_processor_has_no_card() -> None:
    assert card_variables(ServerSettings(triton_gpu="off"), RepositorySettings(), {}) == ({}, "")
