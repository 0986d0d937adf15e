"""Plain mappings into settings, with errors in the user's words."""

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from optmm.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def parsed(model: type[M], values: dict[str, Any], origin: str) -> M:
    """Validate a TOML table as `model`, or raise ConfigError naming every bad key.

    Lists become tuples first, since TOML has no tuple.
    """
    plain = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        return model.model_validate(plain)
    except ValidationError as bad:
        lines = [_explain(model, error) for error in bad.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(model: type[BaseModel], error: Any) -> str:
    """One fault: key, value, bound, and the nearest known key."""
    if not error["loc"]:
        return error["msg"].removeprefix("Value error, ")
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{key} is {error['input']!r:.60}: {error['msg'].removeprefix('Value error, ')}"
    near = difflib.get_close_matches(key, model.model_fields, n=1)
    return f"unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
