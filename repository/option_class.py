"""How does a command with many options take them? As one frozen dataclass, whose fields Typer is shown as options."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, get_type_hints


def takes_option_class(command: Callable[[Any], None]) -> Callable[..., None]:
    """Let a command have one argument, a dataclass, and let Typer see its fields in the argument's place.

    Args:
        command: its argument is annotated with the dataclass, whose fields are annotated as a command's arguments
            would be: `Annotated[int, typer.Option(help=…)]`.

    Returns:
        What is registered with Typer.
    """
    (options,) = (kind for name, kind in get_type_hints(command).items() if name != "return")
    kinds = get_type_hints(options, include_extras=True)

    @wraps(command)
    def with_options(**given: Any) -> None:
        command(options(**given))

    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=kinds[field.name],
        )
        for field in fields(options)
    ]
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_options
