"""YAML files checked against a pydantic model: every complaint names the file and the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.errors import ConfigError, nearest

Model = TypeVar("Model", bound=BaseModel)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(path: Path, model: type[Model]) -> Model:
    """Read `path` as one `model`.

    Raises:
        ConfigError: unreadable file, broken YAML, duplicate or unknown key, wrong type (YAML reads `no`
            as false); with the line of the value, a line of the message for each.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}, line {line}: not YAML ({error.problem})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML ({error})") from error
    _refuse_duplicates(node, path)
    try:
        return model.model_validate(data, strict=True)
    except ValidationError as error:
        problems = sorted(_telling(error.errors()), key=lambda e: _line(node, e["loc"]))
        lines = [f"{path}, line {_line(node, e['loc'])}: {_explain(e, model)}" for e in problems]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error


def _telling(problems: Sequence[Any]) -> list[Any]:
    """The problems without those that a misspelt key beside them explains."""
    misspelt = {e["loc"][:-1] for e in problems if e["type"] == "extra_forbidden"}
    return [e for e in problems if e["type"] != "missing" or e["loc"][:-1] not in misspelt]


def _explain(problem: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(step) for step in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        near = nearest(str(problem["loc"][-1]), _fields(model))
        return f"unknown key {where!r}" + (f"; did you mean {', '.join(near)}?" if near else "")
    if problem["type"] == "missing":
        return f"{where!r} is missing"
    hint = (
        " (quote it: YAML reads yes, no, on and off as booleans)"
        if isinstance(problem["input"], bool)
        else ""
    )
    if problem["input"] is None and not problem["loc"]:
        return "the file is empty"
    got = "" if isinstance(problem["input"], dict | list) else f", got {problem['input']!r}{hint}"
    place = repr(where) if problem["loc"] else where
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}{got}"


def _fields(model: type[BaseModel]) -> set[str]:
    """Every key that stands anywhere in the model."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        names.add(name)
        for inner in _models_in(field.annotation):
            names |= _fields(inner)
    return names


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _refuse_duplicates(node: Any, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(
                    f"{path}, line {line}: key {key.value!r} stands already in line {seen[key.value]}"
                )
            seen[key.value] = line
            _refuse_duplicates(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, path)


def _line(node: Any, steps: tuple[Any, ...]) -> int:
    """Line of the deepest key or item that the steps lead to."""
    line = node.start_mark.line if node is not None else 0
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
    return int(line) + 1
