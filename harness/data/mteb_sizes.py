"""How large a task is, by the descriptive statistics that mteb ships: what a run of it would encode.

Read off mteb once per version, as its table of tasks is (`mteb_catalog`), and kept beside that in the cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.data.mteb_catalog import catalog

if TYPE_CHECKING:
    from harness.task import Task

SCHEMA = 1

# Which texts of a kind are encoded, as the statistics call them.
_SIDES = {
    "sts": ("text1", "text2"),
    "pair_classification": ("text1", "text2"),
    "classification": ("text",),
    "multilabel": ("text",),
    "clustering": ("text",),
    "retrieval": ("documents_text", "queries_text"),
    "reranking": ("documents_text", "queries_text"),
    "instruction_reranking": ("documents_text", "queries_text"),
    "summarization": ("human_summaries", "machine_summaries"),
    "bitext": ("sentence1", "sentence2"),
}
# Tokens of a character, by script: one for Chinese characters, kana and Hangul, a quarter for Latin letters.
_WIDE, _LATIN, _OTHER = {"Hans", "Hant", "Hani", "Jpan", "Kore", "Hang"}, 0.25, 0.5


@dataclass(frozen=True)
class Side:
    """One column of texts.

    Attributes:
        distinct: different texts.
        characters: of a text, on average.
    """

    distinct: int
    characters: float


@dataclass(frozen=True)
class Split:
    """The statistics of one split and subset; None where mteb does not say."""

    sides: dict[str, Side]
    documents: int | None = None
    queries: int | None = None
    labels: int | None = None


@dataclass(frozen=True)
class Size:
    """What scoring a task would ask of a bi-encoder.

    Attributes:
        documents, queries: of ranking tasks, as the data hold them; else None.
        texts: to encode: different within each column, training rows of few-shot tasks included. Texts that
            two columns, subsets or tasks share count for each, so a run encodes at most this many.
        characters: in them.
        tokens: of them, guessed by the scripts of their languages; cut to a max length, where one was given.
        partly: the training and dev rows of a scorer that reads them whole are missing: it is more than this.
    """

    documents: int | None
    queries: int | None
    texts: int
    characters: int
    tokens: int
    partly: bool = False


Sizes = Mapping[str, Mapping[str, Mapping[str, Split]]]  # task, split, subset


def task_size(task: Task, sizes: Sizes, max_length: int | None = None) -> Size | None:
    """The size of a resolved task over its splits and subsets; None where mteb's statistics do not give it.

    They do not for data of one's own, and of a scorer that chooses on a dev split they give the tested split
    alone.
    """
    if task.members:
        return total([task_size(member, sizes, max_length) for member in task.members])
    if task.folder is not None or task.source is None or task.source.mteb is None:
        return None
    own = sizes.get(task.source.mteb, {})
    parts: list[Size | None] = []
    for split, subset in task.entries:
        known = own.get(split, {})
        found = known.get(subset) or (known.get("default") if len(known) == 1 else None)
        languages = task.languages.get(subset, ())
        parts.append(_size(task, found, languages, max_length) if found else None)
    return total(parts)


def total(parts: list[Size | None]) -> Size | None:
    """The sum; None where a part is not known."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    documents = [part.documents for part in known if part.documents is not None]
    queries = [part.queries for part in known if part.queries is not None]
    return Size(
        documents=sum(documents) if documents else None,
        queries=sum(queries) if queries else None,
        texts=sum(part.texts for part in known),
        characters=sum(part.characters for part in known),
        tokens=sum(part.tokens for part in known),
        partly=any(part.partly for part in known),
    )


def _size(task: Task, split: Split, languages: tuple[str, ...], max_length: int | None) -> Size | None:
    rate = _tokens_a_character(languages)
    texts, characters, tokens = 0, 0.0, 0.0
    for name in _SIDES[task.kind]:
        if name not in split.sides:
            return None
        side = split.sides[name]
        count = _encoded(task, side.distinct, split.labels)
        texts += count
        characters += count * side.characters
        # a text is one token at least; cutting the mean leaves too many tokens rather than too few
        tokens += count * min(max(side.characters * rate, 1.0), max_length or float("inf"))
    counts = split.documents, split.queries, texts, round(characters), round(tokens)
    return Size(*counts, partly=task.scorer.dev)


def _encoded(task: Task, distinct: int, labels: int | None) -> int:
    """Texts a scorer takes of a column: samples of large clusterings, training rows beside those tested."""
    settings: Mapping[str, Any] = task.settings
    if task.kind == "clustering" and task.scorer.name == "bootstrap_kmeans":
        fraction = settings["max_fraction_of_documents_to_embed"]
        most = int(fraction * distinct) if fraction else settings["max_document_to_embed"]
        return int(min(distinct, most or distinct))
    if task.kind in ("classification", "multilabel") and not task.scorer.dev:
        tested = min(distinct, settings.get("max_eval_samples") or distinct)
        return int(tested + settings["n_experiments"] * settings["samples_per_label"] * (labels or 0))
    return distinct


def _tokens_a_character(languages: tuple[str, ...]) -> float:
    scripts = [language.rpartition("-")[2] for language in languages] or ["Latn"]
    rates = [1.0 if s in _WIDE else _LATIN if s == "Latn" else _OTHER for s in scripts]
    return sum(rates) / len(rates)


def sizes(cache_root: Path) -> Sizes:
    """The statistics of every text task: from the cache where they are there, else from mteb itself."""
    return _sizes(str(cache_root))


@cache
def _sizes(cache_root: str) -> dict[str, dict[str, dict[str, Split]]]:
    path = Path(cache_root) / "mteb" / f"sizes-{version('mteb')}-{SCHEMA}.json"
    if path.is_file():
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, dict[str, Split]]])
        except (msgspec.DecodeError, OSError):
            path.unlink(missing_ok=True)  # damaged: made again from mteb
    found = _read(name for name, info in catalog(Path(cache_root)).items() if not info.refused)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(found))
        temporary.replace(path)
    except OSError:
        return found  # a cache that cannot be written costs time, nothing else
    return found


def _read(names: Iterable[str]) -> dict[str, dict[str, dict[str, Split]]]:
    """The statistics of these tasks off the installed mteb (imports it: several seconds)."""
    from harness.data.mteb_source import quiet

    with quiet():
        from mteb.get_tasks import _TASKS_REGISTRY

        return {name: dict(_splits(_TASKS_REGISTRY[name].metadata.descriptive_stats)) for name in names}


def _splits(statistics: Mapping[str, Any] | None) -> Iterator[tuple[str, dict[str, Split]]]:
    for split, whole in (statistics or {}).items():
        parts = whole.get("hf_subset_descriptive_stats") or {"default": whole}
        yield split, {subset: _split(part) for subset, part in parts.items()}


def _split(part: Mapping[str, Any]) -> Split:
    sides = {
        key.removesuffix("_statistics"): Side(value["unique_texts"], value["average_text_length"])
        for key, value in part.items()
        if isinstance(value, dict) and "unique_texts" in value
    }
    labels = part.get("label_statistics") or part.get("labels_statistics") or {}
    documents, queries = (
        part.get(f"num_{name}") or _count(part.get(f"{name}_text_statistics"))
        for name in ("documents", "queries")
    )
    return Split(sides, documents, queries, labels.get("unique_labels"))


def _count(statistics: Mapping[str, Any] | None) -> int | None:
    """How many texts these are of, equal ones included; older statistics say it by total and mean alone."""
    if not statistics or not statistics["average_text_length"]:
        return None
    return round(float(statistics["total_text_length"]) / float(statistics["average_text_length"]))
