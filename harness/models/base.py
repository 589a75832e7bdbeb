"""What a model says about itself (its card) and the three protocols that adapters and plugins meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from harness.errors import UnknownNameError
from harness.types import Float32, Int64, ModelKind, Pairs, Texts

Similarity = Literal["cosine", "dot", "euclidean"]
Say = Callable[[str], None]
# Adapters that read a checkpoint's weights, and mteb's name for what computes with them.
FROM_WEIGHTS = {
    "dense": "PyTorch", "jina_bert": "PyTorch", "rotary": "PyTorch", "cross": "PyTorch", "static": "NumPy",
}  # fmt: skip


def unheard(line: str) -> None:
    """What says nothing to nobody."""


@dataclass(frozen=True)
class ModelCard:
    """Everything about a model that can move a number, and what a report says of it.

    Attributes:
        name: `org/name`, `local/<dir>` or `harness/<baseline>`.
        revision: commit hash, 12 hex digits over a local checkpoint's files, or None.
        kind: what the model is; the only thing that decides how it is used.
        fingerprint: names the vector-store namespace; None: its vectors are never kept on disk.
        similarity: how two of its vectors are compared.
        dim: length of a vector; None where unknown before the first text.
        max_length: tokens a text is cut to, special tokens included; None: never cut.
        pooling, normalized: how token vectors became one vector, and whether it has unit length.
        dtype, device, backend: what computes. `device` may be "auto" until the weights are loaded;
            "service" for both where another machine does.
        prompts: role or task kind to the string put in front (see `harness.models.prompts`).
        prompt_policy: which of the prompts are used: card, mteb or none.
        routes: role or task kind to the adapter of the network (see `harness.models.prompts`), under every
            policy.
        languages, licence, parameters: as published.
        variant: tokens that set it apart from the catalog's defaults (see `harness.models.variants`).
        catalog_row: the row's number, raised when one of its defaults changed; None off the catalog.
        adapter: `name@version` of the code that runs it.
        tokenizer: of a lexical model, its name in `harness.models.words.TOKENIZERS`.
        default_suite: suite that `eval` takes when none is named.
        notes: remarks worth a line in a report.
        served: the name that a service gave for the model that answered, once it has; None elsewhere.
    """

    name: str
    revision: str | None = None
    kind: ModelKind = "bi-encoder"
    fingerprint: str | None = None
    similarity: Similarity = "cosine"
    dim: int | None = None
    max_length: int | None = None
    pooling: str | None = None
    normalized: bool | None = None
    dtype: str = "float32"
    device: str = "cpu"
    backend: str = "torch"
    prompts: Mapping[str, str] = field(default_factory=dict)
    prompt_policy: str = "card"
    routes: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    licence: str | None = None
    parameters: int | None = None
    variant: tuple[str, ...] = ()
    catalog_row: int | None = None
    adapter: str = "plugin"
    tokenizer: str | None = None
    default_suite: str | None = None
    notes: tuple[str, ...] = ()
    served: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(ModelKind):
            raise UnknownNameError("kind of model", self.kind, get_args(ModelKind))
        if self.similarity not in get_args(Similarity):
            raise UnknownNameError("similarity", self.similarity, get_args(Similarity))

    @property
    def framework(self) -> str | None:
        """What computes with the weights of a checkpoint, in mteb's words; None without a checkpoint."""
        return FROM_WEIGHTS.get(self.adapter.partition("@")[0])


@dataclass(frozen=True)
class Options:
    """What a caller asks of a model; None leaves the choice to the catalog row or the checkpoint.

    Attributes:
        dtype, max_length, dim, quant, prompts, backend: see `ModelCard`; a value that differs from the
            row's makes a variant. `dim` keeps the first components only (see
            `harness.models.shorten`), `quant` rounds what is left (see
            `harness.models.quantise`). `prompts` is a policy.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        batch_tokens: tokens a batch, at least 4,096 where a CPU computes in bfloat16; speed only.
        cache: folder for memos (hashes), never for results.
        trust_remote_code, allow_pickle: what a checkpoint may do to this machine.
        offline: no request to a service; answers that are stored are enough for a run.
    """

    dtype: str | None = None
    max_length: int | None = None
    dim: int | None = None
    quant: str | None = None
    prompts: str | None = None
    backend: str | None = None
    device: str = "auto"
    batch_tokens: int | None = None
    cache: Path | None = None
    trust_remote_code: bool = False
    allow_pickle: bool = False
    offline: bool = False


@runtime_checkable
class BiEncoder(Protocol):
    """Turns texts into vectors."""

    card: ModelCard

    def encode(self, texts: Texts) -> Float32:
        """Vectors of rendered texts, float32 [len(texts), dim], in the order given."""
        ...


@runtime_checkable
class CrossEncoder(Protocol):
    """Scores pairs of texts."""

    card: ModelCard

    def score(self, pairs: Pairs) -> Float32:
        """Scores float32 [len(pairs)], in the order given; higher is closer."""
        ...


@runtime_checkable
class Searcher(Protocol):
    """Finds documents by their words; no vectors."""

    card: ModelCard

    def search(self, queries: Sequence[str], corpus: Sequence[str], k: int) -> tuple[Int64, Float32]:
        """Positions in `corpus` int64 [q, k] (-1: none) and scores float32 [q, k], best first.

        Equal scores stand in ascending position, at the cut too: a caller who passes documents in
        descending order of id gets the canonical order.
        """
        ...


class Prepared(Protocol):
    """What an adapter made of texts before the forward pass: token ids."""

    @property
    def lengths(self) -> Int64:
        """Tokens of each text, int64 [n]."""
        ...


@runtime_checkable
class Tokenizing(Protocol):
    """A bi-encoder or cross-encoder that can make tokens ahead of the forward pass, on another thread.

    The engine then sorts by tokens instead of characters, and no device waits for a tokenizer. What it
    answers must be what `encode` or `score` would.
    """

    card: ModelCard

    def prepare(self, groups: Sequence[Any]) -> Prepared:
        """Tokens of lists of texts (or pairs), all lists end to end."""
        ...

    def answer(self, prepared: Any, rows: Int64, say: Say) -> Float32:
        """Vectors [len(rows), dim] or scores [len(rows)] of the prepared texts at `rows`."""
        ...


Model = BiEncoder | CrossEncoder | Searcher
METHODS: dict[str, str] = {"bi-encoder": "encode", "cross-encoder": "score", "lexical": "search"}
