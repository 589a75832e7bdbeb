"""Models behind HTTP services, against a server of this machine that can be told to misbehave."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine import encode
from harness.engine.encode import embed, score_pairs
from harness.engine.vectors import VectorStore, open_vectors
from harness.errors import ConfigError, HarnessError, MissingExtraError, ModelError, NonFiniteError
from harness.models import load_model, transport
from harness.models.estimate import cut, estimated_tokens
from harness.models.remote import RemoteCross, RemoteEncoder
from harness.models.waits import LONGEST_WAIT, back_off
from harness.types import Pairs, Texts
from tests.cli.test_cli import inside  # noqa: F401 - a fixture
from tests.toys import sts_rows, write_task

KEY = "sk-not-for-your-eyes-1234567890"
DIM = 4
CROSS: dict[str, Any] = {"kind": "cross-encoder", "dim": None}
COHERE: dict[str, Any] = {
    "format": "cohere",
    "prompts": {
        "query": "search_query: ", "document": "search_document", "sentence": "clustering",
        "classification": "classification",
    },
}  # fmt: skip
Answer = tuple[int, dict[str, str], bytes]


def vector(text: str) -> list[float]:
    return [float(len(text)), float(sum(map(ord, text)) % 97), 1.0, -0.5]


def relevance(query: str, document: str) -> float:
    return len(query) - len(document) / 8


def good(path: str, body: Any) -> Any:
    if path.endswith("/embed"):
        width = body.get("output_dimension", DIM)
        return {"id": "1", "embeddings": {"float": [vector(t)[:width] for t in body["texts"]]}}
    if path.endswith("/rerank") and "texts" in body:
        scores = [relevance(body["query"], d) for d in body["texts"]]
        return [{"index": i, "score": s} for i, s in sorted(enumerate(scores), key=lambda r: -r[1])]
    if path.endswith("/rerank"):
        rows = [
            {"index": i, "relevance_score": relevance(body["query"], d)}
            for i, d in enumerate(body["documents"])
        ]
        return {"results": rows[: body["top_n"]][::-1]}
    width = body.get("dimensions", DIM)
    return {"data": [{"index": i, "embedding": vector(t)[:width]} for i, t in enumerate(body["input"])]}


def as_json(reply: Any, status: int = 200, **headers: str) -> Answer:
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps(reply).encode()


class Server(ThreadingHTTPServer):
    """Answers well, except where `faults` (taken from its front, one a request) or `spoil` say otherwise."""

    daemon_threads = True
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[Any] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.faults: list[Answer | Callable[[Any], Answer]] = []
        self.spoil: Callable[[Any, Any], Any] = lambda body, reply: reply
        self.delay: Callable[[Any], float] = lambda body: 0.0
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def texts(self) -> list[str]:
        return [text for body in self.asked for text in body["input"]]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        with server.lock:
            server.asked.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers["Authorization"])
            fault = server.faults.pop(0) if server.faults else None
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        time.sleep(server.delay(body))
        if fault is None:
            answer = as_json(server.spoil(body, good(self.path, body)))
        else:
            answer = fault(body) if callable(fault) else fault
        with server.lock:
            server.busy -= 1
        status, headers, content = answer
        promised = int(headers.pop("promised", len(content)))
        try:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(promised)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:  # the other side did not wait
            promised = -1
        self.close_connection = promised != len(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("MY_KEY", KEY)


def rows(url: str, **more: Any) -> dict[str, Any]:
    return {
        "display": "me/served", "kind": "bi-encoder", "adapter": "remote", "base_url": url,
        "api_model": "served-1", "key_env": "MY_KEY", "dim": DIM, **more,
    }  # fmt: skip


def catalog(tmp_path: Path, **models: Any) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(json.dumps({"models": models}), encoding="utf-8")  # JSON is YAML
    return path


def loaded(server: Server, tmp_path: Path, waits: list[float] | None = None, **more: Any) -> Any:
    options = more.pop("options", {})
    file = catalog(tmp_path, mine=rows(server.url, **more))
    model = load_model("mine", catalog=file, cache=tmp_path / "cache", **options)
    assert isinstance(model, RemoteEncoder | RemoteCross)
    model.service.sleep = (waits if waits is not None else []).append
    return model


def encoded(model: Any, *texts: str) -> list[list[float]]:
    found: list[list[float]] = model.encode(Texts(list(texts))).tolist()
    return found


def test_the_request_and_its_answer(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path)
    assert encoded(model, "one", "three", "東京") == [vector(t) for t in ("one", "three", "東京")]
    assert server.asked == [
        {"model": "served-1", "input": ["one", "three", "東京"], "encoding_format": "float"}
    ]
    assert (server.paths, server.keys) == (["/v1/embeddings"], [f"Bearer {KEY}"])
    assert model.card.revision is None
    assert (model.card.device, model.card.backend, model.card.adapter) == ("service", "service", "remote@1")
    assert any(server.url in note and "no revision" in note for note in model.card.notes)


def test_rows_are_put_in_order_by_index(server: Server, tmp_path: Path) -> None:
    server.spoil = lambda body, reply: {"data": reply["data"][::-1]}
    assert encoded(loaded(server, tmp_path), "a", "bb", "ccc") == [vector(t) for t in ("a", "bb", "ccc")]


def test_no_texts(server: Server, tmp_path: Path) -> None:
    assert loaded(server, tmp_path).encode(Texts([])).shape == (0, DIM)
    assert not server.asked


def changed(at: int, **values: Any) -> Callable[[Any, Any], Any]:
    def spoil(body: Any, reply: Any) -> Any:
        rows = reply if isinstance(reply, list) else reply["data" if "data" in reply else "results"]
        rows[at] = {k: v for k, v in {**rows[at], **values}.items() if v != "gone"}
        return reply

    return spoil


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (changed(0, index=1), ModelError, "answered index 1 twice"),
        (changed(0, index="gone"), ModelError, "a row with index None for 3 inputs"),
        (changed(0, index=3), ModelError, "a row with index 3 for 3 inputs"),
        (changed(0, index=-1), ModelError, "a row with index -1 for 3 inputs"),
        (changed(0, index=True), ModelError, "a row with index True"),
        (changed(0, embedding="gone"), ModelError, "a row without 'embedding'"),
        (changed(1, embedding=[1.0, 2.0]), ModelError, "2 numbers as embedding 1 where 4 were due"),
        (changed(1, embedding=[]), ModelError, "no list of floats as embedding 1"),
        (changed(1, embedding="AAAA"), ModelError, "no list of floats as embedding 1"),
        (changed(1, embedding=["1", "2", "3", "4"]), ModelError, "something that is no number in row 1"),
        (changed(1, embedding=[[1], 2, 3, 4]), ModelError, "something that is no number in row 1"),
        (changed(2, embedding=[1.0, float("nan"), 1.0, 1.0]), NonFiniteError, "infinity in row 2"),
        (changed(2, embedding=[1.0, 10**400, 1.0, 1.0]), NonFiniteError, "infinity in row 2"),
        (changed(2, embedding=[1.0, 1e39, 1.0, 1.0]), NonFiniteError, "infinity in row 2"),
        (changed(2, embedding=[1.0, float("inf"), 1.0, 1.0]), NonFiniteError, "infinity in row 2"),
        (changed(2, embedding=[1.0, None, 1.0, 1.0]), NonFiniteError, "null, NaN or infinity in row 2"),
        (lambda body, reply: {"data": reply["data"][:2]}, ModelError, "answered 2 rows for 3 inputs"),
        (lambda body, reply: {"rows": []}, ModelError, "no list 'data'"),
        (lambda body, reply: [1], ModelError, "no list 'data'"),
    ],
)
def test_answers_that_are_none(
    server: Server, tmp_path: Path, spoil: Any, error: type[HarnessError], message: str
) -> None:
    server.spoil = spoil
    with pytest.raises(error, match=f"me/served: .*{message}"):
        encoded(loaded(server, tmp_path), "a", "bb", "ccc")
    assert len(server.asked) == 1, "an answer that is wrong is not asked for again"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"device": "cpu"}, "device"),
        ({"batch_tokens": 4096}, "batch_tokens"),
        ({"dtype": "bfloat16"}, "dtype"),
        ({"device": "cuda", "dtype": "float32"}, "device, dtype"),
    ],
)
def test_options_that_cannot_matter_to_a_service(
    server: Server, tmp_path: Path, options: Any, named: str
) -> None:
    with pytest.raises(ConfigError, match=f"me/served runs as a service: it takes no {named}$"):
        loaded(server, tmp_path, options=options)
    assert loaded(server, tmp_path, options={"device": "auto"}).card.device == "service"
    load_model("bm25", device="cpu", batch_tokens=9, cache=tmp_path)


def test_a_row_without_dim_takes_it_from_the_answer(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, dim=None, max_inputs=1)
    assert encoded(model, "a", "bb") == [vector("a"), vector("bb")]
    server.spoil = lambda body, reply: (
        reply if body["input"] == ["a"] else {"data": [{"index": 0, "embedding": [1.0]}]}
    )
    with pytest.raises(ModelError, match="vectors of different lengths"):
        encoded(model, "a", "bb")


def unfinished(body: Any) -> Answer:
    content = json.dumps(good("/embeddings", body)).encode()
    return 200, {"promised": str(len(content))}, content[:-9]


@pytest.mark.parametrize(
    ("fault", "least"),
    [
        (as_json({}, 429, Retry_After="7"), 7.0),
        (as_json({}, 429, Retry_After=formatdate(1_000_050, usegmt=True)), 50.0),
        (as_json({}, 429, Retry_After="not a date"), 0.5),
        (as_json({}, 429, retry_after_ms="2500"), 2.5),
        (as_json({}, 429, x_ratelimit_reset_requests="1m3s", x_ratelimit_remaining_requests="0"), 63.0),
        (
            as_json(
                {}, 429,
                x_ratelimit_reset_requests="6m0s", x_ratelimit_remaining_requests="9",
                x_ratelimit_reset_tokens="1200ms", x_ratelimit_remaining_tokens="0",
            ),
            1.2,
        ),
        (as_json({"error": {"message": "sorry"}}, 500), 0.5),
        (as_json({}, 503), 0.5),
        (as_json({}, 408), 0.5),
        (as_json({}, 409), 0.5),
        (unfinished, 0.5),
        ((200, {}, b'{"data": [{"index": 0, "embed'), 0.5),
        ((200, {}, b"<html>a proxy's page</html>"), 0.5),
        ((502, {}, b"<html>\xff</html>"), 0.5),
    ],
)  # fmt: skip
def test_faults_that_pass(server: Server, tmp_path: Path, fault: Any, least: float) -> None:
    waits: list[float] = []
    model = loaded(server, tmp_path, waits)
    model.service.now = lambda: 1_000_000.0
    server.faults = [fault]
    assert encoded(model, "a", "bb") == [vector("a"), vector("bb")]
    assert len(server.asked) == 2
    assert server.asked[0] == server.asked[1]
    (wait,) = waits
    assert least <= wait <= max(least, 1.0)


def test_an_answer_that_is_late(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    model = loaded(server, tmp_path, waits)
    model.service.timeout = 0.15
    server.delay = lambda body: 0.5 if len(server.asked) == 1 else 0.0
    assert encoded(model, "a") == [vector("a")]
    assert (len(server.asked), len(waits)) == (2, 1)


def test_attempts_are_bounded_and_the_waits_grow(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    server.faults = [as_json({"error": {"message": f"no {i}\nmore"}}, 500) for i in range(20)]
    with pytest.raises(ModelError) as caught:
        encoded(loaded(server, tmp_path, waits), "a")
    assert len(server.asked) == transport.ATTEMPTS == len(waits) + 1
    for attempt, wait in enumerate(waits):
        assert 2.0**attempt / 2 <= wait <= 2.0**attempt
    text = str(caught.value)
    assert "gave no answer in 6 attempts" in text
    assert "500 Internal Server Error: no 5" in text
    assert "more" not in text
    assert "run the same command again" in text
    assert len(text.splitlines()) <= 3


def test_jitter_differs_between_requests_and_repeats_for_one() -> None:
    assert back_off(1, b"a") == back_off(1, b"a")
    assert len({back_off(1, b"%d" % i) for i in range(20)}) > 15
    assert back_off(30, b"a") <= LONGEST_WAIT


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    model = loaded(server, tmp_path, waits)
    model.service.base_url = "http://127.0.0.1:9/v1"
    with pytest.raises(ModelError, match=r"6 attempts.*ConnectError"):
        encoded(model, "a")
    assert len(waits) == 5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (as_json({"error": {"message": f"Incorrect API key: {KEY}"}}, 401), r"401 .*\*\*\*\n.*MY_KEY"),
        (as_json({}, 403), "403 Forbidden\n.*environment variable MY_KEY"),
        (as_json({"error": {"message": "too many tokens"}}, 400), "400 .*too many tokens\n.*--max-length"),
        (as_json({"detail": [{"msg": "field wrong"}]}, 422), "field wrong"),
        (as_json({"message": "no such model"}, 404), "404 Not Found: no such model"),
        (as_json({"error": "plain"}, 400), "plain"),
        ((301, {"Location": "http://127.0.0.1:9/"}, b""), "refuses the request, 301"),
        (as_json({"error": {"code": "insufficient_quota", "message": "pay"}}, 429), "429 .*pay"),
        (as_json({}, 429, Retry_After="86400"), "asks to wait 86,400 s"),
    ],
)
def test_refusals(server: Server, tmp_path: Path, fault: Answer, message: str) -> None:
    server.faults = [fault]
    waits: list[float] = []
    with pytest.raises(ModelError, match=message) as caught:
        encoded(loaded(server, tmp_path, waits), "a")
    assert (len(server.asked), waits) == (1, [])
    assert KEY not in str(caught.value)


def test_keys(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(server, tmp_path)
    monkeypatch.setenv("MY_KEY", f"{KEY}\nX-Header: 1")
    with pytest.raises(ModelError, match="MY_KEY holds characters") as caught:
        encoded(model, "a")
    assert KEY not in str(caught.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ModelError, match=r"needs a key\n.*MY_KEY"):
        encoded(model, "a")
    assert not server.asked
    encoded(loaded(server, tmp_path, key_env=None), "a")
    assert server.keys == [None]


def test_many_requests_at_a_time_keep_the_order(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_inputs=2, concurrency=3)
    texts = [f"text {i}" for i in range(24)]
    server.delay = lambda body: 0.03 if int(body["input"][0].split()[1]) % 3 == 0 else 0.01
    assert encoded(model, *texts) == [vector(t) for t in texts]
    assert [len(body["input"]) for body in server.asked] == [2] * 12
    assert 2 <= server.most_busy <= 3


def test_an_error_ends_the_requests_that_wait(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_inputs=1, concurrency=2)
    server.faults = [as_json({"error": "no"}, 400)] * 2
    with pytest.raises(ModelError, match="refuses the request, 400"):
        encoded(model, *(f"text {i}" for i in range(50)))
    assert len(server.asked) < 10


def test_an_error_breaks_off_the_waits(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_inputs=1, concurrency=2)
    model.service.sleep = None
    server.delay = lambda body: 0.0 if body["input"] == ["a"] else 0.2

    def fault(body: Any) -> Answer:
        return as_json({}, 429, Retry_After="300") if body["input"] == ["a"] else as_json({}, 400)

    server.faults = [fault, fault]
    texts = ["a", "b", "c"]
    begun = time.monotonic()
    with pytest.raises(ModelError, match="refuses the request, 400"):
        encoded(model, *texts)
    assert time.monotonic() - begun < 30
    assert len(server.asked) == 2


def test_requests_are_bounded_by_tokens(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_request_tokens=10, concurrency=1)
    texts = ["a" * 16, "a" * 16, "東京都", "a" * 80, "b"]
    assert encoded(model, *texts) == [vector(t) for t in texts]
    assert [body["input"] for body in server.asked] == [texts[:2], texts[2:3], texts[3:4], texts[4:]]


def test_a_large_call_is_spread_over_the_threads(server: Server, tmp_path: Path) -> None:
    encoded(loaded(server, tmp_path, concurrency=4), *(f"{i}" for i in range(100)))
    assert sorted(len(body["input"]) for body in server.asked) == [25, 25, 25, 25]


@pytest.mark.parametrize("text", ["", " \n\t", "　"])
def test_empty_texts_are_sent_as_one_space(server: Server, tmp_path: Path, text: str) -> None:
    model = loaded(server, tmp_path)
    encoded(model, "a", text)
    assert server.texts == ["a", " "]
    assert any("sent as one space" in note for note in model.card.notes)


def test_text_that_is_no_text(server: Server, tmp_path: Path) -> None:
    encoded(loaded(server, tmp_path), "lone \ud800", 'a "quoted"\n\x00')
    assert server.texts == ["lone \ud800", 'a "quoted"\n\x00']


def test_long_texts_are_cut_by_estimated_tokens(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_length=8, options={"max_length": 3})
    encoded(model, "a" * 50, "東京都庁", "short")
    assert server.texts == ["a" * 12, "東京都", "short"]
    assert (model.card.max_length, model.card.variant) == (3, ("len3",))
    assert any("cut at 3 tokens" in note for note in model.card.notes)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abcdefgh", 2), ("東京", 2), ("ｱa", 2), ("привет", 3), ("𠀀", 1)]
)
def test_estimated_tokens(text: str, tokens: int) -> None:
    assert estimated_tokens([text, "a"]).tolist() == [tokens, 1]
    assert estimated_tokens([text], ["東"]).tolist() == [tokens + 1]
    assert cut(text, tokens) == text
    for limit in range(tokens):
        assert estimated_tokens([cut(text, limit)])[0] <= limit


def test_dimensions(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, dimensions=True, options={"dim": 2})
    assert encoded(model, "a") == [vector("a")[:2]]
    assert server.asked[0]["dimensions"] == 2
    assert (model.card.dim, model.card.variant) == (2, ("dim2",))
    assert loaded(server, tmp_path, dimensions=True, options={"dim": DIM}).card.variant == ()
    with pytest.raises(ConfigError, match="mine has 4 dimensions; 5 were asked for"):
        loaded(server, tmp_path, dimensions=True, options={"dim": 5})
    with pytest.raises(ConfigError, match="does not shorten"):
        loaded(server, tmp_path, options={"dim": 2})
    server.spoil = lambda body, reply: {"data": [{"index": 0, "embedding": [1.0, 2.0, 3.0]}]}
    with pytest.raises(ModelError, match="3 numbers as embedding 0 where 2 were due"):
        encoded(model, "a")


def test_quantised_vectors(server: Server, tmp_path: Path) -> None:
    bare = loaded(server, tmp_path)
    model = loaded(server, tmp_path, options={"quant": "binary"})
    assert encoded(model, "a") == [[1.0 if x > 0 else -1.0 for x in vector("a")]]
    assert (model.card.variant, bare.card.variant) == (("binary",), ())
    assert model.card.fingerprint != bare.card.fingerprint
    with pytest.raises(ConfigError, match="no --quant"):
        loaded(server, tmp_path, kind="cross-encoder", options={"quant": "int8"})


def test_identity(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mark(options: dict[str, Any] | None = None, **more: Any) -> str | None:
        found: str | None = loaded(
            server, tmp_path, dimensions=True, options=options or {}, **more
        ).card.fingerprint
        return found

    same = mark()
    assert same == mark(price=3.0, key_env=None, concurrency=2, notes=["x"], base_url=server.url + "/")
    marks = {
        same, mark({"dim": 2}), mark({"max_length": 9}), mark(api_model="served-2"), mark(max_length=8),
        mark(base_url="http://127.0.0.1:9/v1"),
    }  # fmt: skip
    assert len(marks) == 6
    monkeypatch.setenv("MY_URL", "http://127.0.0.1:9/v1/")
    assert mark(base_url_env="MY_URL") == mark(base_url="http://127.0.0.1:9/v1")


def test_prompts_and_policies(server: Server, tmp_path: Path) -> None:
    prompts = {"query": "query: ", "document": "passage: "}
    card = loaded(server, tmp_path, prompts=prompts, options={"prompts": "none"}).card
    assert (card.prompts, card.prompt_policy, card.variant) == (prompts, "none", ("prompts-none",))
    assert loaded(server, tmp_path, prompts=prompts, options={"prompts": "mteb"}).card.variant == ()


def test_the_rows_of_openai(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = load_model("text-embedding-3-small+dim256", cache=tmp_path)
    assert isinstance(small, RemoteEncoder)
    assert small.service.base_url == "https://api.openai.com/v1"
    assert (small.card.name, small.card.dim, small.card.max_length) == (
        "openai/text-embedding-3-small", 256, 8192,
    )  # fmt: skip
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        small.encode(Texts(["a"]))
    with pytest.raises(ConfigError, match="does not shorten"):
        load_model("ada-002", dim=256, cache=tmp_path)
    for options in ({"dtype": "bfloat16"}, {"backend": "torch"}):
        with pytest.raises(ConfigError, match=r"takes no (dtype|backend)"):
            load_model("ada-002", cache=tmp_path, **options)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    large = load_model("openai-3-large", dim=3, cache=tmp_path)
    assert isinstance(large, RemoteEncoder)
    assert encoded(large, "a") == [vector("a")[:3]], "another server may ask for no key"
    assert server.keys == [None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_url": "ftp://host/v1"}, "looks like https://host/v1"),
        ({"base_url": "http://host:many/v1"}, "looks like https://host/v1"),
        ({"base_url": "http://[::1/v1"}, "looks like https://host/v1"),
        ({"base_url": "host/v1"}, "looks like https://host/v1"),
        ({"base_url": "https://me:secret@host/v1"}, "no user, password"),
        ({"base_url": "https://host/v1?key=secret"}, "no user, password"),
        ({"base_url": None}, "needs base_url, api_model and display"),
        ({"hub": "org/name"}, "takes no files"),
        ({"kind": "lexical"}, "bi-encoders and cross-encoders"),
        ({"adapter": "dense"}, "base_url belongs to rows with adapter: remote"),
        ({"max_inputs": 0}, "max_inputs"),
        ({"format": "tei"}, "format tei is for a cross-encoder"),
        ({**CROSS, "format": "cohere"}, "format cohere is for a bi-encoder"),
        ({"format": "grpc"}, "format"),
        ({"format": "cohere"}, "needs prompts for query, document and sentence"),
        ({**COHERE, "prompts": {**COHERE["prompts"], "sts": "none"}}, "prompt sts 'none': an input type"),
    ],
)
def test_rows_that_make_no_sense(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = catalog(tmp_path, mine=rows("http://127.0.0.1:9/v1", **change))
    with pytest.raises(ConfigError, match=message) as caught:
        load_model("mine", catalog=file, cache=tmp_path)
    assert "secret" not in str(caught.value)


def test_the_extra_is_named(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'harness[remote]'")):
        loaded(server, tmp_path)


def test_a_run_that_failed_asks_only_for_the_rest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SHARD_TEXTS", 4)
    model = loaded(server, tmp_path, concurrency=1)
    texts = [f"number {i}" for i in range(12)]

    def store() -> VectorStore:
        return open_vectors(model.card, tmp_path / "cache", False, pytest.fail)

    server.faults = [(lambda body: as_json(good("", body)))] * 2 + [as_json({"error": "no"}, 400)]
    with pytest.raises(ModelError, match="refuses"):
        embed(model, [Texts(texts)], store())
    paid = set(server.asked[0]["input"] + server.asked[1]["input"])
    assert len(paid) == 8
    server.asked.clear()
    (found,) = embed(model, [Texts(texts)], store())
    assert set(server.texts) == set(texts) - paid
    assert len(server.texts) == 4
    assert found.gather().tolist() == [vector(t) for t in texts]
    offline = loaded(server, tmp_path, options={"offline": True})
    (again,) = embed(offline, [Texts(texts)], store())
    np.testing.assert_array_equal(again.gather(), found.gather())
    with pytest.raises(ModelError, match="--offline"):
        embed(offline, [Texts(["new"])], store())
    assert len(server.texts) == 4


def test_what_was_answered_beside_an_error_is_stored(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, max_inputs=2, concurrency=2)
    requests = [Texts([f"p: {i}" for i in range(9)], prompt="p: "), Texts([f"{i}" for i in range(8)])]
    server.faults = [(lambda body: as_json(good("", body)))] * 6 + [as_json({"error": "no"}, 400)]
    store = VectorStore(tmp_path / "vectors")
    with pytest.raises(ModelError, match="refuses the request, 400"):
        embed(model, requests, store)
    paid = {text for body in server.asked for text in body["input"]}
    refused = server.asked[6]["input"]
    server.asked.clear()
    found = embed(model, requests, VectorStore(tmp_path / "vectors"))
    assert set(refused) <= set(server.texts)
    assert set(server.texts) - set(refused) == {t for r in requests for t in r.items} - paid
    assert [v.gather().tolist() for v in found] == [[vector(t) for t in r.items] for r in requests]


def test_scores_beside_an_error_are_stored(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, **CROSS, concurrency=1)
    pairs = Pairs(["q1", "q2", "q1", "q2", "q3"], ["a", "b", "c", "d", "e"])
    server.faults = [(lambda body: as_json(good("/rerank", body))), as_json({"error": "no"}, 400)]
    with pytest.raises(ModelError, match="refuses the request, 400"):
        score_pairs(model, [pairs], open_vectors(model.card, tmp_path / "cache", False, pytest.fail))
    paid = server.asked[0]["query"]
    server.asked.clear()
    (scores,) = score_pairs(model, [pairs], open_vectors(model.card, tmp_path / "cache", False, pytest.fail))
    assert {body["query"] for body in server.asked} == {"q1", "q2", "q3"} - {paid}
    assert scores.tolist() == [relevance(a, b) for a, b in zip(pairs.left, pairs.right, strict=True)]


def test_pairs_are_asked_by_query(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, **CROSS)
    pairs = Pairs(["q", "other", "q", "q"], ["aaa", "b", "", "a"])
    assert model.score(pairs).tolist() == [
        relevance(a, b) for a, b in zip(pairs.left, ["aaa", "b", " ", "a"], strict=True)
    ]
    assert sorted(server.asked, key=str) == [
        {"model": "served-1", "query": "other", "documents": ["b"], "top_n": 1},
        {"model": "served-1", "query": "q", "documents": ["aaa", " ", "a"], "top_n": 3},
    ]
    assert server.paths == ["/v1/rerank"] * 2


def test_documents_of_a_query_are_split_at_the_limit(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, **CROSS, max_inputs=2)
    documents = ["a", "bb", "ccc", "dddd", "eeeee"]
    scores = model.score(Pairs(["q"] * 5, documents))
    assert scores.tolist() == [relevance("q", d) for d in documents]
    assert sorted(len(body["documents"]) for body in server.asked) == [1, 2, 2]


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (changed(0, index=0), ModelError, "answered index 0 twice"),
        (changed(0, relevance_score="gone"), ModelError, "without 'relevance_score'"),
        (changed(0, relevance_score=None), NonFiniteError, "infinity in row 1"),
        (changed(0, relevance_score=float("nan")), NonFiniteError, "infinity in row 1"),
        (changed(0, relevance_score="0.5"), ModelError, "no number in row 1"),
        (changed(0, relevance_score=[0.5]), ModelError, "no number in row 1"),
        (lambda body, reply: {"results": reply["results"][:1]}, ModelError, "1 rows for 2 inputs"),
    ],
)
def test_scores_that_are_none(
    server: Server, tmp_path: Path, spoil: Any, error: type[HarnessError], message: str
) -> None:
    server.spoil = spoil
    with pytest.raises(error, match=message):
        loaded(server, tmp_path, **CROSS).score(Pairs(["q", "q"], ["a", "b"]))


def test_the_engine_keeps_a_query_together(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "SHARD_TEXTS", 6)
    model = loaded(server, tmp_path, **CROSS)
    left = [f"query {i % 4}" for i in range(24)]
    right = ["x" * (i + 1) for i in range(24)]
    (scores,) = score_pairs(model, [Pairs(left, right)], VectorStore(None))
    assert scores.tolist() == [relevance(a, b) for a, b in zip(left, right, strict=True)]
    assert sorted(len(body["documents"]) for body in server.asked) == [6, 6, 6, 6]


def test_a_cross_encoder_takes_no_dim(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no dim"):
        loaded(server, tmp_path, **CROSS, options={"dim": 2})


def test_cohere_gets_input_types_and_bare_texts(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, **COHERE, dimensions=True, options={"dim": 2})
    found = model.encode(Texts(["search_query: one", "search_query:  ", "two"], prompt="search_query: "))
    assert found.tolist() == [vector(t)[:2] for t in ("one", " ", "two")]
    assert server.asked == [
        {
            "model": "served-1", "texts": ["one", " ", "two"], "input_type": "search_query",
            "embedding_types": ["float"], "output_dimension": 2,
        }
    ]  # fmt: skip
    assert server.paths == ["/v1/embed"]
    bare = loaded(server, tmp_path, **COHERE)
    bare.encode(Texts([f"clustering{i}" for i in range(1000)], prompt="clustering"))
    assert sum(len(body["texts"]) for body in server.asked[1:]) == 1000
    assert {body["input_type"] for body in server.asked[1:]} == {"clustering"}
    assert max(len(body["texts"]) for body in server.asked) == 96, "more are refused"
    assert bare.card.fingerprint != loaded(server, tmp_path, prompts=COHERE["prompts"]).card.fingerprint


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        ({"embeddings": {"float": [vector("a")]}}, ModelError, "answered 1 rows for 2 inputs"),
        ({"embeddings": {"int8": []}}, ModelError, "no list 'float'"),
        ({"embeddings": [vector("a")]}, ModelError, "no list 'float'"),
        ([], ModelError, "no list 'float'"),
        ({"embeddings": {"float": [vector("a"), [1.0]]}}, ModelError, "1 numbers as embedding 1 where 4"),
        ({"embeddings": {"float": [vector("a"), [None] * 4]}}, NonFiniteError, "infinity in row 1"),
    ],
)
def test_answers_of_cohere_that_are_none(
    server: Server, tmp_path: Path, reply: Any, error: type[HarnessError], message: str
) -> None:
    server.spoil = lambda body, _: reply
    with pytest.raises(error, match=message):
        loaded(server, tmp_path, **COHERE).encode(Texts(["clusteringa", "clusteringb"], prompt="clustering"))


def test_cohere_without_input_types_is_refused(server: Server, tmp_path: Path) -> None:
    for policy in ("none", "mteb"):
        with pytest.raises(ConfigError, match=f"no --prompts {policy}"):
            loaded(server, tmp_path, **COHERE, options={"prompts": policy})
    assert loaded(server, tmp_path, **COHERE, options={"prompts": "card"}).card.variant == ()


def test_a_failing_cohere_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.faults = [as_json({"message": "slow down"}, 429), as_json({"message": "oh"}, 503)]
    waits: list[float] = []
    model = loaded(server, tmp_path, waits, **COHERE)
    assert model.encode(Texts(["clusteringa"], prompt="clustering")).tolist() == [vector("a")]
    assert len(waits) == 2
    server.faults = [as_json({"message": "invalid api token"}, 401)]
    with pytest.raises(ModelError, match=r"invalid api token.*\n.*MY_KEY"):
        model.encode(Texts(["clusteringa"], prompt="clustering"))


def test_tei_reranks_texts_and_answers_a_bare_list(server: Server, tmp_path: Path) -> None:
    model = loaded(server, tmp_path, **CROSS, format="tei", max_inputs=2)
    documents = ["aaa", "b", ""]
    scores = model.score(Pairs(["q"] * 3, documents))
    assert scores.tolist() == [relevance("q", d) for d in ("aaa", "b", " ")]
    common = {"query": "q", "truncate": True, "raw_scores": False}
    assert sorted(server.asked, key=str) == sorted(
        [{**common, "texts": ["aaa", "b"]}, {**common, "texts": [" "]}], key=str
    )
    assert server.paths == ["/v1/rerank"] * 2
    assert model.card.fingerprint != loaded(server, tmp_path, **CROSS).card.fingerprint


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (changed(0, index=0), ModelError, "answered index 0 twice"),
        (changed(0, score="gone"), ModelError, "without 'score'"),
        (changed(0, score=None), NonFiniteError, "null, NaN or infinity"),
        (lambda body, reply: reply[:1], ModelError, "1 rows for 2 inputs"),
        (lambda body, reply: {"results": reply}, ModelError, "answer is no list"),
    ],
)
def test_scores_of_tei_that_are_none(
    server: Server, tmp_path: Path, spoil: Any, error: type[HarnessError], message: str
) -> None:
    server.spoil = spoil
    with pytest.raises(error, match=message):
        loaded(server, tmp_path, **CROSS, format="tei").score(Pairs(["q", "q"], ["bbbb", "a"]))


def test_the_model_that_answered_is_kept_and_must_stay(server: Server, tmp_path: Path) -> None:
    server.spoil = lambda body, reply: {**reply, "model": "served-1-of-may"}
    model = loaded(server, tmp_path, max_inputs=1, concurrency=1)
    assert model.card.served is None
    encoded(model, "a", "b")
    assert model.card.served == "served-1-of-may"
    server.spoil = lambda body, reply: reply
    encoded(model, "c")
    assert model.card.served == "served-1-of-may", "a reply that says none says nothing"
    names = {"d": "served-1-of-may", "e": "served-1-of-june"}
    server.spoil = lambda body, reply: {**reply, "model": names[body["input"][0]]}
    with pytest.raises(ModelError, match="as 'served-1-of-june', and before as 'served-1-of-may'") as caught:
        encoded(model, "d", "e")
    assert caught.value.answered is not None
    places, rows_ = caught.value.answered
    assert (places.tolist(), rows_.tolist()) == ([0], [vector("d")]), "only what the first one answered"
    server.spoil = lambda body, reply: {**reply, "model": "other"}
    cross = loaded(server, tmp_path, **CROSS)
    cross.score(Pairs(["q"], ["a"]))
    assert cross.card.served == "other"


def test_eval_from_the_command_line(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    harness = request.getfixturevalue("inside")
    data = write_task(tmp_path / "data", "One", "sts", "cosine_spearman", test=sts_rows())
    file = catalog(tmp_path, mine=rows(server.url, price=1000.0))
    arguments = [
        "eval", "mine", "--task", "One", "--data", str(data), "--catalog", str(file),
        "--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results"),
    ]  # fmt: skip
    plan = harness(*arguments, "--dry-run")
    assert plan.code == 0, plan.err
    texts = {row[side] for row in sts_rows() for side in ("sentence1", "sentence2")}
    tokens = int(estimated_tokens(sorted(texts)).sum())
    assert f"about {tokens:,} tokens, estimated" in plan.out
    assert f"about {tokens / 1000:,.4f} to pay, estimated" in plan.out
    (job,) = json.loads(harness(*arguments, "--dry-run", "--json").out)
    assert job["charge"] == pytest.approx(tokens / 1000)
    assert not server.asked
    server.faults = [as_json({"error": f"bad {KEY}"}, 401) for _ in range(9)]
    failed = harness(*arguments)
    server.faults.clear()
    server.asked.clear()
    assert failed.code == 2
    assert "MY_KEY" in failed.err
    server.spoil = lambda body, reply: {**reply, "model": "served-1-of-may"}
    done = harness(*arguments)
    assert done.code == 0, done.err
    (stored,) = (tmp_path / "results").rglob("One.json")
    assert '"served_model": "served-1-of-may"' in stored.read_text()
    assert sorted(server.texts) == sorted(texts)
    count = len(server.asked)
    assert harness(*arguments, "--force", "--offline").code == 0
    assert len(server.asked) == count
    plan = harness(*arguments, "--dry-run")
    assert "100%" in plan.out
    assert "to pay" not in plan.out
    said = "".join([failed.out, failed.err, done.out, done.err, plan.out])
    assert KEY not in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "One.json" for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_the_key_is_in_no_log_and_no_repr(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = loaded(server, tmp_path)
    server.faults = [as_json({"error": KEY}, 500)]
    with caplog.at_level(logging.DEBUG):
        encoded(model, "a")
    assert "/v1/embeddings" in caplog.text
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert KEY not in caplog.text
    assert KEY not in repr((model.service, model.card, vars(model)))
