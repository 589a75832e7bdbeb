"""What sets two results apart beside the model: what makes a comparison invalid, and what is only shown.

The one place that says so: gates and comparisons ask for the `differences` of a pair, leaderboards sort whole
columns by the same `TRAITS`. What one of two results does not say is not held against it. Results that mteb
published say no more than a revision of the data set: repositories have moved and been converted without
their rows changing, most tasks have been published under two or three revisions, and mteb's leaderboard
merges them; so a revision alone is shown, and bars nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.models.quantise import QUANTS
from harness.streams import AFTER, RNG, STATE
from harness.types import Result

_PLAIN = ("device", "backend")
_PROMPT = 60  # characters of a prompt that are shown
# What a variant of one model may ask for. A gate refuses such a difference; a table of models that are named
# with their variants is there to show what it does.
OF_THE_RUN = ("dtype", "max_length", "prompts", "first_stage")


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


@dataclass(frozen=True)
class Trait:
    """Something that must be equal within a column.

    Attributes:
        words: what a line calls it.
        of: its value; None where the result does not say.
        shown: its value as a person knows it.
        wide: whether all entries of a task must agree in it, not only those of one split and subset.
    """

    words: str
    of: Callable[[Result], str | None]
    shown: Callable[[Result], str]
    wide: bool


def _settings(result: Result) -> str | None:
    settings = result.provenance.get("settings")
    if settings is None:
        return None
    # What was drawn before an entry differs between entries of one task; a table checks it by itself.
    return json.dumps({k: v for k, v in settings.items() if k not in (RNG, AFTER, STATE)}, sort_keys=True)


def _ours(result: Result) -> bool:
    """Whether it names the scorer and the data that it is of: results of mteb's do neither."""
    return bool(result.data_fingerprint)


DATA = Trait("data", lambda r: r.data_fingerprint or None, lambda r: r.data_revision, False)
SCORER = Trait("scorer", lambda r: r.scorer if _ours(r) else None, lambda r: r.scorer, True)
SETTINGS = Trait("settings", lambda r: _settings(r) if _ours(r) else None, lambda r: _settings(r) or "", True)
TRAITS = (DATA, SCORER, SETTINGS)


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

    for what in ("protocol", "task", "split", "subset"):
        say(what, getattr(old, what), getattr(new, what))
    fingerprints = DATA.of(old), DATA.of(new)
    words = (
        f"the data differ (fingerprints {(fingerprints[0] or '')[:12]} and {(fingerprints[1] or '')[:12]})"
    )
    say("data", *fingerprints, words=words)
    if None in fingerprints:
        words = f"revision of the data: {_revision(old)} and {_revision(new)} (the rows may be the same)"
        say("data", _revision(old), _revision(new), invalid=False, words=words)
    say("scorer", SCORER.of(old), SCORER.of(new))
    if _ours(old) and _ours(new):  # what mteb's files call the main metric is told from its value alone
        say("main", old.main_metric, new.main_metric)
    say("settings", before.get("settings"), after.get("settings"), words="the scorer's settings differ")
    say("dtype", before.get("dtype"), after.get("dtype"))
    if _ours(old) and _ours(new):
        say("first_stage", _first_stage(before), _first_stage(after))
    same_model = old.model == new.model
    if same_model:
        say("max_length", _length(before), _length(after))
        prompts = before.get("prompts"), after.get("prompts")
        say("prompts", *prompts, words=_prompts(*map(_mapping, prompts)))
        say("variant", _reduced(old), _reduced(new), invalid=False)  # asked for to see what it costs
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


def barring(found: Sequence[Difference]) -> list[Difference]:
    """Those that keep two results out of one table, even where both are named with their variants."""
    return [one for one in found if one.invalid and one.what not in OF_THE_RUN]


def _revision(result: Result) -> str | None:
    known = result.data_revision and "not available" not in result.data_revision
    return result.data_revision if known else None


def _length(provenance: Mapping[str, Any]) -> int | str | None:
    """The length that texts are cut at; None where the result does not say."""
    length = provenance.get("max_length")
    return "without limit" if length is None and "max_length" in provenance else length


def _asked(result: Result, token: str) -> str:
    return next((t for t in result.variant if t.startswith(token)), "as the model prescribes")


def _prompts(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The roles whose prompts differ, each with both texts; several of the same texts are said once."""
    moved: dict[tuple[str, str], list[str]] = {}
    for role in sorted({*old, *new}):
        texts = (_quoted(old, role), _quoted(new, role))
        if old.get(role) != new.get(role):
            moved.setdefault(texts, []).append(role)
    return "prompts: " + "; ".join(f"of {', '.join(r)} {one} and {two}" for (one, two), r in moved.items())


def _quoted(prompts: Mapping[str, Any], role: str) -> str:
    if role not in prompts:
        return "none"
    text = json.dumps(prompts[role], ensure_ascii=False)
    return text if len(text) <= _PROMPT else f"{text[: _PROMPT - 4]}...{text[-1]}"


def _reduced(result: Result) -> str:
    """What of the vectors was asked for: the first components only, fewer bits."""
    apart = [t for t in result.variant if t in QUANTS or t.startswith("dim")]
    return "+".join(sorted(apart)) or "vectors as the model gives them"


def _first_stage(provenance: Mapping[str, Any]) -> str:
    """The model whose candidates were reranked, and how many."""
    first = _mapping(provenance.get("first_stage"))
    if not first:
        return "none, all documents are searched"
    return f"{first['name']} ({str(first['fingerprint'])[:12]}), {first['depth']} a query"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else text[:97] + "..."
