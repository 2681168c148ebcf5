"""In which words is it said how a long text is read? Those of settings, requests and the command line."""

from typing import Literal

LongText = Literal["truncate", "windows"]
WindowJoin = Literal["mean", "max", "first-last"]

LONG_TEXT_MEANING = (
    "How a text is read that is longer than the model's limit: `truncate` cuts it there; `windows` cuts it into "
    "overlapping windows of the model's length, answers each and joins the answers."
)
WINDOW_JOIN_MEANING = (
    "How the answers to the windows of a long text become one: `mean` of their logits, the largest logit of each "
    "label (`max`), or the mean of the first and the last window, the only ones that are read then (`first-last`)."
)
