"""Models behind an HTTP service, in one of the formats of `harness.models.formats`.

A text that is empty or only white space is sent as one space, because services refuse an empty string. A
text is cut at the max length in estimated tokens (see `harness.models.estimate`), because the service's own
tokenizer is not here. Both are said in the card's notes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.errors import ConfigError, ModelError
from harness.models.base import ModelCard, Options
from harness.models.catalog import Row
from harness.models.estimate import cut, estimated_tokens
from harness.models.formats import EMBEDDINGS, RERANKINGS
from harness.models.identity import fingerprint
from harness.models.prompts import policy_matters
from harness.models.quantise import quantised
from harness.models.replies import model_of
from harness.models.resolve import Source
from harness.models.transport import Service, clean_url, need_client
from harness.models.variants import FROZEN, format_variant
from harness.types import Float32, Int64, Pairs, Texts

VERSION = 1
MAX_REQUEST_TOKENS, THREADS = 300_000, 8
# Below this many texts a request, more requests at a time gain nothing.
LEAST_INPUTS = 16


class Served:
    """What both sorts of model share: the card, and who answers."""

    card: ModelCard

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self._lock = threading.Lock()

    def note(self, reply: Any) -> None:
        """Put the model that a reply names on the card.

        Raises:
            ModelError: an earlier reply named another.
        """
        said = model_of(reply)
        if said is None:
            return
        with self._lock:
            before = self.card.served
            if before is None:
                self.card = replace(self.card, served=said)
        if before not in (None, said):
            raise ModelError(
                f"{self.card.name}: the service answered as {said!r}, and before as {before!r}\n"
                "two models cannot share a score; name a fixed one as api_model in the catalog row"
            )


class RemoteEncoder(Served):
    """A bi-encoder behind a service.

    Attributes:
        price: currency units a million tokens, or None.
    """

    def __init__(
        self, card: ModelCard, row: Row, service: Service, dimensions: int | None, quant: str | None
    ) -> None:
        super().__init__(card)
        self.service, self.price = service, row.price
        self._row, self._dimensions, self._quant = row, dimensions, quant

    def encode(self, texts: Texts) -> Float32:
        """Vectors float32 [len(texts), dim], in the order given; one request or several at a time.

        Raises:
            ModelError, NonFiniteError: the service refuses, does not answer or answers nonsense.
        """
        how, row = EMBEDDINGS[self._row.format or "openai"], self._row
        apart = texts.prompt if how.apart else ""
        items = [_sendable(text.removeprefix(apart), self.card.max_length) for text in texts.items]
        spans = list(_spans(items, row, how.most))
        bodies = [
            how.body(str(row.api_model), items[start:stop], texts.prompt, self._dimensions)
            for start, stop in spans
        ]

        def read(number: int, reply: Any) -> Float32:
            start, stop = spans[number]
            vectors = how.read(reply, stop - start, self.card.dim, self.card.name)
            self.note(reply)
            return quantised(vectors, self._quant)

        answers, error = self.service.ask_all(how.path, bodies, read)
        if len({part.shape[1] for part in answers.values()}) > 1:
            raise ModelError(f"{self.card.name}: the service answered vectors of different lengths")
        if not answers and error is None:
            return np.empty((0, self.card.dim or 0), dtype=np.float32)
        return _whole(answers, [np.arange(start, stop) for start, stop in spans], error)

    estimate = staticmethod(estimated_tokens)


class RemoteCross(Served):
    """A cross-encoder behind a service; pairs with one left text are asked for together.

    Attributes:
        price: currency units a million tokens, or None.
    """

    def __init__(self, card: ModelCard, row: Row, service: Service) -> None:
        super().__init__(card)
        self.service, self.price = service, row.price
        self._row = row

    def score(self, pairs: Pairs) -> Float32:
        """Relevance scores float32 [len(pairs)], in the order given, as the service scales them.

        Raises:
            ModelError, NonFiniteError: the service refuses, does not answer or answers nonsense.
        """
        places: dict[str, list[int]] = {}
        for at, left in enumerate(pairs.left):
            places.setdefault(left, []).append(at)
        how = RERANKINGS[self._row.format or "jina"]
        asked: list[list[int]] = []
        bodies: list[dict[str, Any]] = []
        for left, own in places.items():
            query = _sendable(left, self.card.max_length)
            documents = [_sendable(pairs.right[at], self.card.max_length) for at in own]
            for start, stop in _spans(
                documents, self._row, each=int(estimated_tokens([query])[0]), threads=1
            ):
                asked.append(own[start:stop])
                bodies.append(how.body(str(self._row.api_model), query, documents[start:stop]))

        def read(number: int, reply: Any) -> Float32:
            scores = how.read(reply, len(asked[number]), self.card.name)
            self.note(reply)
            return scores

        answers, error = self.service.ask_all(how.path, bodies, read)
        if not answers and error is None:
            return np.empty(0, dtype=np.float32)
        return _whole(answers, [np.array(own) for own in asked], error)

    estimate = staticmethod(estimated_tokens)


def load_remote(source: Source, options: Options) -> RemoteEncoder | RemoteCross:
    """The model of a catalog row with `adapter: remote`; no request is made before the first text.

    Raises:
        ConfigError: a base URL that is none, `dim` for a model that the service cannot shorten, or a prompt
            policy that leaves texts without the input type that the service wants.
        MissingExtraError: the HTTP client is not installed.
    """
    row = source.row
    if row is None or row.base_url is None or row.api_model is None:
        raise ConfigError(f"{source.name}: a service needs a catalog row with base_url and api_model")
    if row.kind == "cross-encoder" and options.quant is not None:
        raise ConfigError(f"{row.name} gives scores, not vectors; there is no --quant of them")
    if row.format == "cohere" and options.prompts not in (None, "card"):
        raise ConfigError(
            f"{row.name}: the input types of Cohere's texts stand in the row's prompts; there is no "
            f"--prompts {options.prompts} of them"
        )
    need_client()
    dimensions = _dimensions(row, options.dim)
    own = os.environ.get(row.base_url_env, "").strip() if row.base_url_env else ""
    base_url = clean_url(own or row.base_url, f"${row.base_url_env}" if own else f"{row.name}, base_url")
    service = Service(
        name=source.name,
        base_url=base_url,
        key_env=row.key_env,
        key_needed=base_url == row.base_url.rstrip("/"),  # another server may ask for none
        threads=row.concurrency or THREADS,
        offline=options.offline,
    )
    card = _card(source.name, row, options, base_url, dimensions)
    if row.kind == "cross-encoder":
        return RemoteCross(card, row, service)
    return RemoteEncoder(card, row, service, dimensions, options.quant)


def _dimensions(row: Row, asked: int | None) -> int | None:
    """Components to ask the service for; None: all there are."""
    if asked is None or asked == row.dim:
        return None
    if not row.dimensions:
        raise ConfigError(f"{row.name}: the service does not shorten this model's vectors: it takes no dim")
    if row.dim is not None and asked > row.dim:
        raise ConfigError(f"{row.name} has {row.dim} dimensions; {asked} were asked for")
    return asked


def _card(name: str, row: Row, options: Options, base_url: str, dimensions: int | None) -> ModelCard:
    max_length = options.max_length or row.max_length
    policy = options.prompts or "card"
    matters = row.kind == "bi-encoder" and policy_matters(row.prompts, policy)
    chosen = {
        "max_length": max_length,
        "dim": dimensions,
        "quant": options.quant,
        "prompts": policy if matters else None,
    }
    notes = [
        f"a service at {base_url}, model {row.api_model}: no revision, no date; it may change unseen",
        "the answers in the vector store reproduce the scores, new answers need not",
        "texts that are empty or white space are sent as one space",
    ]
    if max_length:
        notes.append(f"texts are cut at {max_length:,} tokens estimated from their characters")
    return ModelCard(
        name=name,
        kind=row.kind,
        fingerprint=fingerprint(
            {
                "adapter": f"remote@{VERSION}",
                "base_url": base_url,
                "model": row.api_model,
                "dimensions": dimensions,
                "kind": row.kind,
                "max_length": max_length,
                **({} if row.format is None else {"format": row.format}),
                **({} if options.quant is None else {"quant": options.quant}),
            }
        ),
        similarity=row.similarity,
        dim=dimensions or row.dim,
        max_length=max_length,
        pooling=row.pooling,
        normalized=row.normalize and options.quant is None,
        device="service",
        backend="service",
        prompts=dict(row.prompts),
        prompt_policy=policy,
        languages=tuple(row.languages),
        licence=row.licence,
        parameters=row.parameters,
        variant=format_variant(chosen, {**FROZEN, "max_length": row.max_length}),
        catalog_row=row.row,
        adapter=f"remote@{VERSION}",
        default_suite=row.default_suite,
        notes=(*notes, *row.notes),
    )


def _whole(answers: Mapping[int, Float32], places: Sequence[Int64], error: ModelError | None) -> Float32:
    """The answers to all requests at their places; else the error, with the answers there are."""
    if not answers:
        assert error is not None
        raise error
    there = np.concatenate([places[number] for number in answers])
    rows = np.concatenate(list(answers.values()))
    if error is not None:
        error.answered = (there, rows)
        raise error
    out = np.empty_like(rows)
    out[there] = rows
    return out


def _sendable(text: str, max_length: int | None) -> str:
    return cut(text, max_length) if text.strip() else " "


def _spans(
    items: Sequence[str], row: Row, limit: int = 2048, *, each: int = 0, threads: int | None = None
) -> Iterator[tuple[int, int]]:
    """Stretches of items for one request: within the row's limits, and small enough to keep threads busy.

    Args:
        limit: items a request where the row says nothing.
        each: tokens that every item brings with it: the query's.
    """
    most_tokens = row.max_request_tokens or MAX_REQUEST_TOKENS
    share = -(-len(items) // (threads or row.concurrency or THREADS))
    most = min(row.max_inputs or limit, max(LEAST_INPUTS, share))
    start = held = 0
    for at, size in enumerate((estimated_tokens(items) + each).tolist()):
        if at > start and (at - start == most or held + size > most_tokens):
            yield start, at
            start, held = at, 0
        held += size
    if items:
        yield start, len(items)
