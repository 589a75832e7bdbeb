"""What services ask for and answer: the bodies of requests, and which of the readers takes the reply.

`openai`: `/embeddings` as OpenAI, Jina, vLLM, TEI and Ollama have it. `cohere`: `/embed` of Cohere's second
version, which wants an input type with every text. `jina`: `/rerank` as Jina, Cohere and vLLM have it. `tei`:
`/rerank` as text-embeddings-inference has it by itself, a bare list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.models.catalog import input_type
from harness.models.replies import bare_scores_of, plain_vectors_of, scores_of, vectors_of
from harness.types import Float32


@dataclass(frozen=True)
class Embedding:
    """A way to ask for vectors.

    Attributes:
        path: behind the base URL.
        body: from the model's name, texts, their prompt and dimensions (None: all) to a request.
        read: from a reply, the number of texts, the length due (or None) and the model's name to vectors.
        most: texts a request.
        apart: whether `body` wants texts without their prompt.
    """

    path: str
    body: Callable[[str, Sequence[str], str, int | None], dict[str, Any]]
    read: Callable[[Any, int, int | None, str], Float32]
    most: int
    apart: bool = False


@dataclass(frozen=True)
class Reranking:
    """A way to ask for scores; `body` takes the model's name, a query and documents."""

    path: str
    body: Callable[[str, str, Sequence[str]], dict[str, Any]]
    read: Callable[[Any, int, str], Float32]


def _openai(model: str, texts: Sequence[str], _: str, dimensions: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "encoding_format": "float", "input": list(texts)}
    return body if dimensions is None else {**body, "dimensions": dimensions}


def _cohere(model: str, texts: Sequence[str], prompt: str, dimensions: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "texts": list(texts),
        "input_type": input_type(prompt),
        "embedding_types": ["float"],
    }
    return body if dimensions is None else {**body, "output_dimension": dimensions}


def _jina(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    return {"model": model, "query": query, "documents": list(documents), "top_n": len(documents)}


def _tei(_: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    # Cut as a model's tokenizer cuts; scores behind the model's sigmoid, as others give them.
    return {"query": query, "texts": list(documents), "truncate": True, "raw_scores": False}


EMBEDDINGS = {
    "openai": Embedding("embeddings", _openai, vectors_of, 2048),
    "cohere": Embedding("embed", _cohere, plain_vectors_of, 96, apart=True),
}
RERANKINGS = {
    "jina": Reranking("rerank", _jina, scores_of),
    "tei": Reranking("rerank", _tei, bare_scores_of),
}
