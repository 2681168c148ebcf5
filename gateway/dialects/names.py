"""Which dialects are there, and which of them does a setting open?"""

from typing import Final

DIALECTS: Final = ("tei", "huggingface", "sagemaker", "vllm", "openai", "kserve", "infinity")
ALL, NONE = "all", "none"


def chosen(text: str) -> frozenset[str]:
    """The dialects that `DIALECTS` names: `all`, `none`, or names with commas between. Raises ValueError."""
    named = [part.strip().lower() for part in text.split(",") if part.strip()]
    if named in ([], [ALL]):
        return frozenset(DIALECTS)
    if named == [NONE]:
        return frozenset()
    if unknown := sorted(set(named) - set(DIALECTS)):
        raise ValueError(f"DIALECTS: {unknown[0][:40]!r} is none of {', '.join(DIALECTS)}, all and none")
    return frozenset(named)
