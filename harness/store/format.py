"""One task's results file: an mteb TaskResult with a `harness` key; Results to JSON and back.

    {dataset_revision, task_name, mteb_version, evaluation_time, kg_co2_emissions, date, evaluation_phases,
     scores: {split: [{metric..., main_score, hf_subset, languages, detail...}]},
     harness: {schema, task, kind, protocol, entries: {split: {subset: {scorer, main_metric, data_revision,
               data_fingerprint, exact, undefined, samples_sha256, provenance}}}}}

The shape is that of `mteb.results.TaskResult` (mteb 2). A score whose split and subset stand in `entries`
is ours; any other is mteb's (`foreign`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from harness.errors import StoreError
from harness.store.files import CorruptFileError, Place
from harness.store.foreign import foreign_result, is_finite, upgraded
from harness.types import Result

SCHEMA = 1
DIGITS = 6  # what mteb's TaskResult.to_disk rounds scores to
RESERVED = ("main_score", "hf_subset", "languages")
ENTRY_KEYS = {
    "scorer",
    "main_metric",
    "data_fingerprint",
    "exact",
    "undefined",
    "samples_sha256",
    "provenance",
}

Document = dict[str, Any]


def decode(raw: bytes) -> Document:
    """The document in the bytes of a results file, older formats of mteb brought to today's.

    Raises:
        CorruptFileError: not JSON, or not of the shape of a results file.
        StoreError: a schema of a later version, which is whole but not ours to touch.
    """
    document: Document = upgraded(_parsed(raw))
    fault = _fault(document)
    if fault:
        raise CorruptFileError(fault)
    schema = document.get("harness", {}).get("schema", SCHEMA)
    if schema != SCHEMA:
        raise StoreError(f"written with results schema {schema}; this version reads {SCHEMA}")
    return document


def encode(document: Document) -> bytes:
    """Bytes of a document: sorted keys, two spaces of indent, UTF-8, a newline at the end."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return (text + "\n").encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's own \udxxx


def merged(document: Document | None, result: Result, samples_sha256: str | None) -> Document:
    """The document with this result put in the place of its split and subset; all else is kept.

    Raises:
        StoreError: a metric that is no finite number, or a task that the file has under another kind.
    """
    old = document or {}
    ours = old.get("harness", {})
    if ours.get("kind", result.kind) != result.kind:
        raise StoreError(
            f"{result.task} is stored with kind {ours['kind']!r}, the new result has {result.kind!r}; "
            "move the old file away or name the task differently"
        )
    scores = {split: _plain(entries) for split, entries in old.get("scores", {}).items()}
    kept = [score for score in scores.get(result.split, []) if score["hf_subset"] != result.subset]
    scores[result.split] = sorted([*kept, _score(result)], key=lambda score: str(score["hf_subset"]))
    entries = {split: dict(subsets) for split, subsets in ours.get("entries", {}).items()}
    entries.setdefault(result.split, {})[result.subset] = _entry(result, samples_sha256)
    seconds = [s for subsets in entries.values() for e in subsets.values() if (s := _seconds(e)) is not None]
    return {
        "dataset_revision": result.data_revision,
        "task_name": result.task,
        "mteb_version": version("mteb"),
        "evaluation_time": math.fsum(seconds) if seconds else None,
        "kg_co2_emissions": None,
        "date": None,
        "evaluation_phases": None,
        "scores": scores,
        "harness": {
            "schema": SCHEMA,
            "task": result.task,
            "kind": result.kind,
            "protocol": result.protocol,
            "entries": entries,
        },
    }


def results_of(
    document: Document, place: Place, task: str, report: Callable[[str], None] = lambda line: None
) -> Iterator[Result]:
    """The Results of a document, in its order; what cannot be one (no finite main score) goes to `report`."""
    entries = document.get("harness", {}).get("entries", {})
    seen: set[tuple[str, str]] = set()
    for split, scores in document["scores"].items():
        for score in scores:
            subset = score["hf_subset"]
            if (split, subset) in seen:
                report(f"has {split}/{subset} twice; the first one counts")
                continue
            seen.add((split, subset))
            if subset in entries.get(split, {}):
                yield _our_result(document, place, task, split, score)
            elif (result := foreign_result(document, place, task, split, score)) is not None:
                yield result
            else:
                report(f"has no finite main score for {split}/{subset}; left out")


def _our_result(document: Document, place: Place, task: str, split: str, score: Mapping[str, Any]) -> Result:
    subset, harness = score["hf_subset"], document["harness"]
    entry = harness["entries"][split][subset]
    metrics = {name: float(score[name]) for name in entry["exact"]}
    plain = {*RESERVED, *metrics, *entry["undefined"], "mteb_version"}
    return Result(
        model=place.model,
        revision=place.revision,
        variant=place.variant,
        task=task,
        kind=harness["kind"],
        protocol=place.protocol,
        scorer=entry["scorer"],
        split=split,
        subset=subset,
        languages=tuple(score["languages"]),
        data_revision=entry.get("data_revision", document["dataset_revision"]),
        data_fingerprint=entry["data_fingerprint"],
        main_metric=entry["main_metric"],
        metrics=metrics,
        exact=entry["exact"],
        undefined=entry["undefined"],
        details={name: value for name, value in score.items() if name not in plain},
        provenance=entry["provenance"],
        samples_sha256=entry["samples_sha256"],
    )


def _score(result: Result) -> dict[str, Any]:
    if result.main_metric not in result.metrics:
        raise StoreError(f"{_name(result)}: no value for its main metric {result.main_metric!r}")
    metrics = {name: round(_finite(result, name, value), DIGITS) for name, value in result.metrics.items()}
    parts = (metrics, result.undefined, result.details, dict.fromkeys((*RESERVED, "mteb_version")))
    if sum(map(len, parts)) != len({name for part in parts for name in part}):
        raise StoreError(
            f"{_name(result)}: one name stands for two of its metrics, undefined metrics and details"
        )
    return {
        **_plain(result.details, digits=DIGITS),
        **dict.fromkeys(result.undefined),
        **metrics,
        "main_score": metrics[result.main_metric],
        "hf_subset": result.subset,
        "languages": list(result.languages),
    }


def _entry(result: Result, samples_sha256: str | None) -> dict[str, Any]:
    exact = {**result.metrics, **{k: v for k, v in result.exact.items() if k in result.metrics}}
    return {
        "scorer": result.scorer,
        "main_metric": result.main_metric,
        "data_revision": result.data_revision,
        "data_fingerprint": result.data_fingerprint,
        "exact": {name: _finite(result, name, value) for name, value in exact.items()},
        "undefined": _plain(result.undefined),
        "samples_sha256": samples_sha256,
        "provenance": _plain(result.provenance),
    }


def _finite(result: Result, name: str, value: float) -> float:
    if not math.isfinite(value):
        raise StoreError(
            f"{_name(result)}: {name} is {value}; a value that does not exist is undefined, with a reason"
        )
    return float(value)


def _name(result: Result) -> str:
    return f"{result.model} on {result.task} ({result.split}/{result.subset})"


def _seconds(entry: Mapping[str, Any]) -> float | None:
    seconds = entry["provenance"].get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _plain(value: Any, digits: int | None = None) -> Any:
    """`value` in JSON's types; floats rounded to `digits`, NaN and infinity null. StoreError for others."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item, digits) for item in value]
    raise StoreError(f"a {type(value).__name__} cannot be stored in a results file: {value!r}")


def _parsed(raw: bytes) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # mteb writes literal NaN, which only the standard library's parser takes
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"not JSON: {error}") from error


def _fault(document: Any) -> str | None:
    """What is wrong with the shape of a document, or None."""
    if not isinstance(document, dict) or not isinstance(document.get("scores"), dict):
        return "not a results file: no scores"
    if not isinstance(document.get("dataset_revision"), str):
        return "not a results file: no dataset_revision"
    for split, scores in document["scores"].items():
        if not isinstance(scores, list) or not all(_is_score(score) for score in scores):
            return f"malformed scores of split {split!r}"
    return _harness_fault(document) if "harness" in document else None


def _is_score(score: Any) -> bool:
    return (
        isinstance(score, dict)
        and isinstance(score.get("hf_subset"), str)
        and isinstance(score.get("languages"), list)
        and "main_score" in score
    )


def _harness_fault(document: Document) -> str | None:
    harness = document["harness"]
    if not isinstance(harness, dict) or "schema" not in harness:
        return "malformed harness key"
    if harness["schema"] != SCHEMA:
        return None
    if not all(isinstance(harness.get(key), str) for key in ("task", "kind", "protocol")):
        return "malformed harness key"
    if not isinstance(harness.get("entries"), dict):
        return "malformed harness key"
    for split, subsets in harness["entries"].items():
        scores = {score["hf_subset"]: score for score in document["scores"].get(split, [])}
        if not isinstance(subsets, dict):
            return f"malformed harness entries of split {split!r}"
        for subset, entry in subsets.items():
            if subset not in scores or not _is_entry(entry, scores[subset]):
                return f"malformed harness entry {split}/{subset}"
    return None


def _is_entry(entry: Any, score: Mapping[str, Any]) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() >= ENTRY_KEYS
        and all(isinstance(entry[key], dict) for key in ("exact", "undefined", "provenance"))
        and isinstance(entry["provenance"].get("settings", {}), dict)
        and all(isinstance(entry[key], str) for key in ("scorer", "main_metric", "data_fingerprint"))
        and isinstance(entry.get("data_revision", ""), str)
        and isinstance(entry["samples_sha256"], str | None)
        and entry["main_metric"] in entry["exact"]
        and all(is_finite(entry["exact"][name]) and is_finite(score.get(name)) for name in entry["exact"])
    )
