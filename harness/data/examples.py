"""What a data source yields and a task kind consumes: one frozen dataclass a shape of data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.packed import Packed
from harness.types import Int64, Label

_AT_ONCE = 4096  # strings hashed together


@dataclass(frozen=True)
class PairExamples:
    """sts and pair_classification: `gold` is float64 [n] (scores) or int64 [n] (labels 0 and 1)."""

    sentence1: Sequence[str]
    sentence2: Sequence[str]
    gold: npt.NDArray[Any]


@dataclass(frozen=True)
class LabelledExamples:
    """classification (labels are scalars) and multilabel (labels are lists); row order is data."""

    train_texts: Sequence[str]
    train_labels: Sequence[Any]
    texts: Sequence[str]
    labels: Sequence[Any]


@dataclass(frozen=True)
class ClusterExamples:
    """clustering: texts of all sets end to end.

    Attributes:
        texts: [n] sentences.
        labels: [n] tuples, one label a level of the hierarchy (length 1 where there is none).
        offsets: int64 [sets + 1]; set i is texts[offsets[i]:offsets[i + 1]]. Data of one row a text is
            a single set.
    """

    texts: Sequence[str]
    labels: Sequence[tuple[Label, ...]]
    offsets: Int64


@dataclass(frozen=True)
class RankingExamples:
    """retrieval, reranking and instruction_reranking.

    Attributes:
        query_ids, queries: [q]; the text holds the instruction where there is one.
        doc_ids, documents: [d]; title and text are already joined.
        qrels: query id to document id to grade; every query id of `query_ids` is a key.
        candidates: query id to document ids (reranking), or None (the whole corpus is searched).
        changed: base query id to the documents whose relevance the changed instruction removed (p-MRR).
    """

    query_ids: Sequence[str]
    queries: Sequence[str]
    doc_ids: Sequence[str]
    documents: Sequence[str]
    qrels: Mapping[str, Mapping[str, int]]
    candidates: Mapping[str, Sequence[str]] | None = None
    changed: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class SummaryExamples:
    """summarization: per row a source text, machine summaries with their human grades, human summaries."""

    texts: Sequence[str]
    machine: Sequence[Sequence[str]]
    human: Sequence[Sequence[str]]
    relevance: Sequence[Sequence[float]]


@dataclass(frozen=True)
class BitextExamples:
    """bitext: `gold[i]` is the row of sentence2 that translates sentence1[i]."""

    sentence1: Sequence[str]
    sentence2: Sequence[str]
    gold: Int64


@dataclass(frozen=True)
class TripletExamples:
    """triplet: anchor, a sentence it entails, and one that negates it, row by row."""

    anchor: Sequence[str]
    entailment: Sequence[str]
    negative: Sequence[str]


Chosen = PairExamples | LabelledExamples | ClusterExamples | RankingExamples  # kinds with a dev split


@dataclass(frozen=True)
class DevTest:
    """Examples of a protocol that chooses on a dev split what it scores on the test split.

    Attributes:
        test: what is scored; for classification with all training rows.
        dev: of the same kind, without what it shares with `test` (training rows; a corpus, whose ids and
            documents are then empty); None where the data have no dev split and the kind can do without.
    """

    test: Chosen
    dev: Chosen | None


Examples = (
    PairExamples
    | LabelledExamples
    | ClusterExamples
    | RankingExamples
    | SummaryExamples
    | BitextExamples
    | TripletExamples
    | DevTest
)


def fingerprint(examples: Examples) -> str:
    """SHA-256 (hex) over every value of the examples, with type and length in front of each.

    Two sets of examples have the same fingerprint exactly when every text, label, id and grade is the
    same in the same order, wherever they were read from. Mappings are hashed in sorted order.
    """
    digest = hashlib.sha256()
    for part in _named(examples):
        digest.update(part)
    return digest.hexdigest()


def _named(examples: Examples) -> Iterator[bytes]:
    yield type(examples).__name__.encode()
    for field in fields(examples):
        yield b"\x1e" + field.name.encode()
        value = getattr(examples, field.name)
        yield from _named(value) if isinstance(value, Chosen) else _parts(value)


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        yield b"s%d:" % len(raw)
        yield raw
    elif value is None:
        yield b"n"
    elif isinstance(value, bool | np.bool_ | int | np.integer):
        yield b"i%d;" % int(value)
    elif isinstance(value, float | np.floating):
        yield b"f" + float(value).hex().encode() + b";"
    elif isinstance(value, Mapping):
        yield b"m%d:" % len(value)
        for key in sorted(value):
            yield from _parts(key)
            yield from _parts(value[key])
    elif isinstance(value, Packed):
        yield b"l%d:" % len(value)
        yield from _joined(value.raw())
    elif _all_strings(value):
        yield b"l%d:" % len(value)
        yield from _joined(text.encode("utf-8", "surrogatepass") for text in value)
    else:
        yield b"l%d:" % len(value)
        for item in value:
            yield from _parts(item)


def _all_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _joined(raws: Iterator[bytes]) -> Iterator[bytes]:
    """The parts of many strings, in few pieces: hashing each by itself takes several times as long."""
    while block := [b"s%d:%b" % (len(raw), raw) for raw in islice(raws, _AT_ONCE)]:
        yield b"".join(block)
