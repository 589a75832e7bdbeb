"""Requests to a service: JSON over HTTP, tried again where that can help, several at a time.

What is tried again: no connection, no answer in time, an answer that breaks off or is no JSON, and the
statuses 408, 409, 425, 429 and 5xx (see `harness.models.waits` for how long). The key is read from the
environment when it is needed and appears in one header only.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.errors import ConfigError, MissingExtraError, ModelError
from harness.models.waits import asked_wait, back_off

ATTEMPTS = 6
PATIENCE = 600.0  # a service that asks for a longer wait has a quota, not a hurry
CONNECT, READ = 10.0, 120.0

_RETRIED = (408, 409, 425, 429)
_REFUSED_FOR_SIZE = (400, 413, 422)
_KEY = re.compile(r"[!-~]+")

T = TypeVar("T")
Read = Callable[[int, Any], T]


@dataclass
class Service:
    """Where requests go.

    Attributes:
        name: the model, in errors.
        base_url: without a slash at its end; `/embeddings` or `/rerank` follows.
        key_env: environment variable that holds the key; None: none is sent.
        key_needed: whether it is an error that the variable is empty.
        threads: requests at a time.
        offline: refuse every request.
        timeout: seconds to wait for an answer.
        sleep: waits so many seconds; None: a wait that an interrupt ends.
        now: seconds since 1970, for dates in `Retry-After`.
    """

    name: str
    base_url: str
    key_env: str | None = None
    key_needed: bool = True
    threads: int = 8
    offline: bool = False
    timeout: float = READ
    sleep: Callable[[float], None] | None = None
    now: Callable[[], float] = time.time

    def ask_all(
        self, path: str, bodies: Sequence[Mapping[str, Any]], read: Read[T]
    ) -> tuple[dict[int, T], ModelError | None]:
        """What `read(number, reply)` makes of the JSON reply to each body, by number, and the first error.

        An error ends the others: requests under way are finished and their answers kept, waits are broken
        off. It is a ModelError that `read` raised, a refusal, or no answer after all attempts.

        Raises:
            ModelError: before the first request, for want of a key or because of `offline`.
        """
        if self.offline:
            raise ModelError(
                f"{self.name} is a service, and --offline allows no request; {len(bodies)} are needed"
            )
        import httpx2

        stop = threading.Event()
        key = self._key()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        limit = httpx2.Timeout(self.timeout, connect=min(CONNECT, self.timeout), pool=None)
        with httpx2.Client(headers=headers, timeout=limit) as client:
            pool = ThreadPoolExecutor(self.threads, thread_name_prefix="requests")

            def one(number: int) -> T:
                try:
                    return read(number, self._ask(client, path, bodies[number], key, stop))
                except ModelError:
                    stop.set()
                    raise

            try:
                futures = [pool.submit(one, number) for number in range(len(bodies))]
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
        return _gathered(futures)

    def _ask(self, client: Any, path: str, body: Mapping[str, Any], key: str, stop: threading.Event) -> Any:
        import httpx2

        url = f"{self.base_url}/{path}"
        content = json.dumps(body, allow_nan=False).encode("ascii")
        waited = 0.0
        for attempt in range(1, ATTEMPTS + 1):
            if stop.is_set():
                raise _StoppedError
            asked = 0.0
            try:
                response = client.post(url, content=content)
            except (httpx2.TransportError, httpx2.DecodingError) as error:
                fault = _hidden(f"{type(error).__name__} {error}".strip(), key)
            else:
                status = f"{response.status_code} {response.reason_phrase}".strip()
                said = _hidden(_message(response.content), key)
                fault = f"{status}: {said}" if said else status
                if response.status_code == 200:
                    try:
                        return json.loads(response.content)
                    except (ValueError, RecursionError):
                        fault = f"{status}, and no whole JSON: {said!r}"
                elif not _worth_another(response.status_code, response.content):
                    raise self._refusal(url, response.status_code, fault)
                else:
                    asked = asked_wait(response.headers, self.now())
            if asked > PATIENCE:
                raise ModelError(
                    f"{self.name}: {url} asks to wait {asked:,.0f} s ({fault})\n"
                    "what was stored stays: run the same command again later"
                )
            if attempt < ATTEMPTS:
                pause = max(asked, back_off(attempt, content))
                waited += pause
                (self.sleep or stop.wait)(pause)
        raise ModelError(
            f"{self.name}: {url} gave no answer in {ATTEMPTS} attempts, {waited:.0f} s of waiting between "
            f"them; the last: {fault}\nwhat was stored stays: run the same command again"
        )

    def _refusal(self, url: str, status: int, fault: str) -> ModelError:
        advice = ""
        if status in (401, 403):
            advice = (
                f"\nthe key comes from the environment variable {self.key_env}"
                if self.key_env
                else "\nname the environment variable that holds the key as key_env in its catalog row"
            )
        elif status in _REFUSED_FOR_SIZE:
            advice = (
                "\nif texts are too long, --max-length N cuts them; if requests are too large, set "
                "max_inputs or max_request_tokens in the catalog row"
            )
        return ModelError(f"{self.name}: {url} refuses the request, {fault}{advice}")

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not key and self.key_needed:
            raise ModelError(
                f"{self.name} is a service at {self.base_url} that needs a key\n"
                f"put it into the environment variable {self.key_env}"
            )
        if key and not _KEY.fullmatch(key):  # a library would show it when it refuses the header
            raise ModelError(f"{self.key_env} holds characters that cannot stand in an HTTP header")
        return key


class _StoppedError(Exception):
    """A request that was given up because another failed."""


def _gathered(futures: Sequence[Future[T]]) -> tuple[dict[int, T], ModelError | None]:
    answers: dict[int, T] = {}
    first: ModelError | None = None
    for number, future in enumerate(futures):
        if future.cancelled():
            continue
        try:
            answers[number] = future.result()
        except _StoppedError:
            continue
        except ModelError as error:
            first = first or error
    return answers, first


def need_client() -> None:
    """Refuse early where the HTTP client is not installed.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    if find_spec("httpx2") is None:
        raise MissingExtraError("models behind a service need httpx2: pip install 'harness[remote]'")


def clean_url(url: str, where: str) -> str:
    """A base URL without the slash at its end.

    Raises:
        ConfigError: it is no http(s) address, or carries a password, a query or a fragment: it is stored
            with results, so no secret may stand in it.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or any(c.isspace() for c in url):
        raise ConfigError(f"{where}: a base URL looks like https://host/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{where}: a base URL takes no user, password, query or fragment; use key_env")
    return url.rstrip("/")


def _worth_another(status: int, content: bytes) -> bool:
    """Whether the same request may be answered later; an empty account is not filled by waiting."""
    if status == 429 and b"insufficient_quota" in content:
        return False
    return status in _RETRIED or status >= 500


def _message(content: bytes) -> str:
    """The first line of what a service says about a fault, however it wraps it."""
    text = content[:2000].decode("utf-8", "replace")
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        found = text
    for _ in range(3):
        if isinstance(found, dict):
            found = next((found[k] for k in ("error", "message", "detail", "msg") if found.get(k)), "")
        elif isinstance(found, list) and found:
            found = found[0]
    lines = found.strip().splitlines() if isinstance(found, str) else []
    return lines[0][:200] if lines else ""


def _hidden(text: str, key: str) -> str:
    """The text without the key: some services repeat it."""
    return text.replace(key, "***") if key else text
