"""Which routes do the dialects have that a gateway opens, and in whose words is an unknown path refused?"""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import APIRouter

from gateway.dialects.huggingface import root_routes
from gateway.dialects.kserve import KSERVE, kserve_open_routes, kserve_routes
from gateway.dialects.manners import Manner
from gateway.dialects.moderations import moderation_routes
from gateway.dialects.openai_style import OPENAI, openai_models
from gateway.dialects.sagemaker import SAGEMAKER, sagemaker_open_routes, sagemaker_routes
from gateway.dialects.tei import TEI, tei_routes
from gateway.dialects.tei_model import tei_model_routes, tei_open_routes
from gateway.dialects.vllm import VLLM, vllm_routes


class Opened(NamedTuple):
    """The routes of the dialects that are open."""

    protected: list[APIRouter]
    """Those that ask for a key where the gateway has some."""
    public: list[APIRouter]
    """Whether texts can be answered, which whoever starts and watches servers asks without a key."""


ROUTERS: Sequence[tuple[frozenset[str], Sequence[APIRouter], Sequence[APIRouter]]] = (
    (frozenset({"tei"}), (tei_routes, tei_model_routes), (tei_open_routes,)),
    (frozenset({"vllm"}), (vllm_routes,), ()),
    (frozenset({"openai"}), (moderation_routes,), ()),
    (frozenset({"openai", "vllm"}), (openai_models,), ()),
    (frozenset({"kserve"}), (kserve_routes,), (kserve_open_routes,)),
    (frozenset({"sagemaker"}), (sagemaker_routes,), (sagemaker_open_routes,)),
)
"""Any of which dialects open which routes. Infinity has none of its own: see `gateway.dialects.infinity`."""

_PLACES: Sequence[tuple[str, frozenset[str], Manner]] = (
    ("/v1/classify", frozenset({"vllm"}), VLLM),
    ("/v1", frozenset({"openai", "vllm"}), OPENAI),
    ("/v2", frozenset({"kserve"}), KSERVE),
    ("/ping", frozenset({"sagemaker"}), SAGEMAKER),
    ("/invocations", frozenset({"sagemaker"}), SAGEMAKER),
    *((path, frozenset({"tei"}), TEI) for path in ("/predict", "/info", "/tokenize", "/decode", "/health")),
)
"""Whose words a path is refused in that has no route, or another method."""
_OWN = ("/health/",)


def opened(dialects: frozenset[str]) -> Opened:
    """The routes of these dialects."""
    protected: list[APIRouter] = []
    public: list[APIRouter] = []
    for of, asked, watched in ROUTERS:
        if of & dialects:
            protected += asked
            public += watched
    if dialects & {"tei", "huggingface"}:
        protected.append(root_routes(dialects))
    return Opened(protected, public)


def manner_at(path: str, dialects: frozenset[str]) -> Manner | None:
    """The manner of the dialect that a path belongs to; None for the gateway's own."""
    if path.startswith(_OWN):
        return None
    for place, of, manner in _PLACES:
        if of & dialects and (path == place or path.startswith(f"{place}/")):
            return manner
    return None
