"""Strict configuration: a dataclass-like model a file, and a sentence for whatever is wrong in it."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import ErrorDetails

from varl_common.errors import VarlError, did_you_mean
from varl_common.yaml_file import load_yaml


class Config(BaseModel):
    """Base of every configuration: immutable, and a field it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _a_text_has_no_zero(cls, value: Any) -> Any:
        """No name, path or address has one, and what takes them raises errors of its own."""
        parts = value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else [value]
        if any(isinstance(part, str) and "\0" in part for part in parts):
            raise ValueError("expected a text without a zero byte")
        return value

    @field_validator("*", mode="wrap")
    @classmethod
    def _a_truth_is_no_number(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        """pydantic takes true for 1: a ``yes`` in YAML would become a number without a word."""
        valid = validate(value)
        given, taken = [value], [valid]
        if isinstance(value, list | tuple) and isinstance(valid, list | tuple):
            given, taken = list(value), list(valid)
        elif isinstance(value, dict) and isinstance(valid, dict):
            given, taken = list(value.values()), list(valid.values())
        for one, number in zip(given, taken, strict=False):
            if isinstance(one, bool) and isinstance(number, int | float) and not isinstance(number, bool):
                raise ValueError("expected a number")
        return valid

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str) -> Self:
        """Validate ``values``, which come from ``source`` (a file or a node's name, for the message).

        Raises:
            VarlError: one line that names each field that is wrong and the remedy.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise VarlError(f"{source}: {_sentences(error, cls)}") from None

    @classmethod
    def from_yaml(cls, path: str | Path, **overrides: Any) -> Self:
        """Read and validate a YAML file; ``overrides`` replace top-level fields.

        Raises:
            VarlError: the file is missing, is not a YAML mapping, or a field is wrong.
        """
        return cls.from_dict(load_yaml(path) | overrides, str(path))


def _sentences(error: ValidationError, model: type[BaseModel]) -> str:
    parts = []
    for item in error.errors(include_url=False):
        field = ".".join(str(key) for key in item["loc"])
        if item["type"] == "extra_forbidden":
            known = _fields_at(model, item["loc"][:-1])
            parts.append(f"unknown parameter {field!r}; {did_you_mean(str(item['loc'][-1]), known)}")
        elif item["type"] == "missing":
            parts.append(f"parameter {field!r} is missing; add it")
        else:
            message = item["msg"].removeprefix("Value error, ").replace("valid tuple", "list").replace("Tuple", "List")
            whole = item["type"] == "value_error" and (not field or isinstance(item["input"], dict))  # it says what
            got = "" if whole else f" (got {item['input']!r}{_unquoted(item)})"
            parts.append(f"parameter {field!r}: {message}{got}" if field else f"{message}{got}")
    return "; ".join(parts)


def _unquoted(item: ErrorDetails) -> str:
    """A clause for a text that YAML, or ROS in reading it, takes for something else: ``0815``, ``1e5``, ``yes``."""
    if item["type"] not in ("string_type", "path_type", "literal_error", "enum"):
        return ""
    kinds = {bool: "truth value", int: "number", float: "number", date: "date", datetime: "date", type(None): "void"}
    kind = kinds.get(type(item["input"]))
    return f", a {kind} to YAML; a text that looks like one goes in quotes" if kind else ""


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model nested at ``loc``, or of ``model`` where that cannot be told."""
    models: list[Any] = [model]
    for key in loc:
        fields = [field for one in models for field in one.model_fields.items() if key in (field[0], field[1].alias)]
        if fields:  # else an index, or the name of an element
            models = _models_in(fields[0][1].annotation)
    return [field.alias or name for one in models or [model] for name, field in one.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's type is made of: ``dict[str, Thing] | None`` of ``Thing``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
