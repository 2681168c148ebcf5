"""Which of a tokenizer's outputs a model reads: what `transformers.pipeline` and the Trainer feed it."""

import inspect
from typing import Any

INPUT_IDS = "input_ids"
ATTENTION_MASK = "attention_mask"
TOKEN_TYPE_IDS = "token_type_ids"


def accepted_inputs(model: Any) -> set[str]:
    """Names of what the model's forward takes; where it hands further arguments on, what its body takes as well."""
    names = _parameters(model)
    body = getattr(model, model.base_model_prefix, None)
    if any(kind is inspect.Parameter.VAR_KEYWORD for kind in names.values()) and body is not None:
        names = {**_parameters(body), **names}
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name for name, kind in names.items() if kind not in variadic}


def leave_out_unread(model: Any, tokenizer: Any) -> None:
    """Let the tokenizer give only what the model's forward takes; anything else makes every call of it fail.

    A plain `PreTrainedTokenizerFast` gives `token_type_ids` whatever model it is for.
    """
    accepted = accepted_inputs(model)
    set_input_names(tokenizer, [name for name in tokenizer.model_input_names if name in accepted])


def set_input_names(tokenizer: Any, names: list[str]) -> None:
    """Let the tokenizer give these, and its saved form too."""
    if names != list(tokenizer.model_input_names):
        tokenizer.model_input_names = names
        tokenizer.init_kwargs["model_input_names"] = names


def _parameters(module: Any) -> dict[str, Any]:
    return {name: parameter.kind for name, parameter in inspect.signature(module.forward).parameters.items()}
