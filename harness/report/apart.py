"""What sets two results apart beside the model: what makes a comparison invalid, and what is only shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.types import Result

_PLAIN = ("device", "backend")


@dataclass(frozen=True)
class Difference:
    """One difference in provenance.

    Attributes:
        what: a name that `accept:` of a gate's file takes ("dtype", "prompts", "libraries" ...).
        text: both sides, in words.
        invalid: whether the numbers may not be compared because of it.
    """

    what: str
    text: str
    invalid: bool


def differences(old: Result, new: Result) -> list[Difference]:
    """Everything but the model that could make two numbers differ.

    Prompts and max length belong to a model: between two different models only a departure from what each
    prescribes counts (its prompt policy, a length asked for), within one model any change does.
    """
    found: list[Difference] = []
    before, after = old.provenance, new.provenance

    def say(what: str, one: Any, other: Any, *, invalid: bool = True, words: str = "") -> None:
        if one != other and one is not None and other is not None:
            text = words or f"{what.replace('_', ' ')}: {_short(one)} and {_short(other)}"
            found.append(Difference(what, text, invalid))

    say("protocol", old.protocol, new.protocol)
    if old.data_fingerprint and new.data_fingerprint:
        words = f"the data differ (fingerprints {old.data_fingerprint[:12]} and {new.data_fingerprint[:12]})"
        say("data", old.data_fingerprint, new.data_fingerprint, words=words)
    else:
        say("data", _revision(old), _revision(new))
    if "mteb" not in (old.scorer, new.scorer):  # results of mteb do not name a scorer of ours
        say("scorer", old.scorer, new.scorer)
        say("main", old.main_metric, new.main_metric)
    say("settings", before.get("settings"), after.get("settings"), words="the scorer's settings differ")
    say("dtype", before.get("dtype"), after.get("dtype"))
    say("first_stage", _first_stage(before), _first_stage(after))
    same_model = old.model == new.model
    if same_model:
        say("max_length", before.get("max_length"), after.get("max_length"))
        say("prompts", before.get("prompts"), after.get("prompts"))
    else:
        say("max_length", _asked(old, "len"), _asked(new, "len"))
        say("prompts", before.get("prompt_policy"), after.get("prompt_policy"))
    for what in _PLAIN:
        say(what, before.get(what), after.get(what), invalid=False)
    versions = [_mapping(side.get("libraries")) for side in (before, after)]
    moved = [
        f"{name} {versions[0][name]} and {versions[1][name]}"
        for name in sorted(versions[0].keys() & versions[1].keys())
        if versions[0][name] != versions[1][name]
    ]
    if moved:
        found.append(Difference("libraries", "libraries: " + ", ".join(moved), invalid=False))
    return found


def _revision(result: Result) -> str | None:
    known = result.data_revision and "not available" not in result.data_revision
    return result.data_revision if known else None


def _asked(result: Result, token: str) -> str:
    return next((t for t in result.variant if t.startswith(token)), "as the model prescribes")


def _first_stage(provenance: Mapping[str, Any]) -> str | None:
    """The model whose candidates were reranked, and how many; None without one."""
    first = _mapping(provenance.get("first_stage"))
    return f"{first['name']} ({str(first['fingerprint'])[:12]}), {first['depth']} a query" if first else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
