"""Which settings does the gateway begin with where a card serves and the user has set none?"""

from collections.abc import Mapping

from repository.cards import Card, found_card
from repository.config import parse_config
from repository.manifest import RepositoryError
from repository.places import open_history
from repository.settings import RepositorySettings
from repository.spelling import as_called
from server.install import wants_gpu
from server.settings import ServerSettings


def card_variables(
    server: ServerSettings, repository: RepositorySettings, environment: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """The gateway's variables for this machine's card, without those that are set, and a line that tells of them.

    Both are empty where no card serves, or all is set. A call has no more sentences than `config.pbtxt` allows.
    """
    if not wants_gpu(server) or (card := found_card()) is None:
        return {}, ""
    try:
        most = parse_config(open_history(repository).config()).max_batch_size
    except RepositoryError:
        return {}, ""  # whoever has no config yet is told so by what comes next
    wanted = {**card.environment, "BATCH_SENTENCES": str(min(most, card.batch_sentences))}
    unset = {name: value for name, value in wanted.items() if not environment.get(name)}
    return (unset, _line(card, unset, most)) if unset else ({}, "")


def _line(card: Card, unset: Mapping[str, str], most: int) -> str:
    given = " ".join(f"{name}={value}" for name, value in unset.items())
    told = f"{card.name}: beginning with {given}, by arithmetic; `{as_called('python -m benchmarks')} tune` measures."
    if most >= card.batch_sentences:
        return told
    return (
        f"{told} A call has at most {most} sentences, as config.pbtxt says; "
        f"`{as_called('python -m repository')} card --configure` raises that."
    )
