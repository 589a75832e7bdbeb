"""How long to wait before a request is tried again: longer each time, and as long as the service asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import blake2b

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
_RESET = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def back_off(attempt: int, content: bytes) -> float:
    """Seconds before the next attempt: doubled each time, less a share of up to a half by the content.

    The share comes from a hash, so no random state is needed and requests of one batch still differ.
    """
    share = int.from_bytes(blake2b(content, digest_size=4, salt=b"%d" % attempt).digest(), "big") / 2**32
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1)) * (1.0 - share / 2))


def asked_wait(headers: Mapping[str, str], now: float) -> float:
    """Seconds that a service asks for in its headers (names in any case, as httpx2 holds them); 0: none.

    `retry-after-ms`, then `Retry-After` (seconds or an HTTP date), then `x-ratelimit-reset-requests` and
    `-tokens` (like `6m0s` or `20ms`), those of them whose `x-ratelimit-remaining-*` is used up.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after")
    if after is not None:
        seconds = _number(after)
        return _until(after, now) if seconds is None else seconds
    resets: dict[str, float] = {}
    for what in ("requests", "tokens"):
        if (found := headers.get(f"x-ratelimit-reset-{what}")) is not None:
            resets[what] = _duration(found)
    used_up = [s for what, s in resets.items() if _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0]
    return max(used_up or resets.values(), default=0.0)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d+(\.\d+)?", text.strip()) else None


def _until(date: str, now: float) -> float:
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return max(0.0, (then if then.tzinfo else then.replace(tzinfo=UTC)).timestamp() - now)


def _duration(text: str) -> float:
    plain = _number(text)
    return sum(float(n) * _UNITS[unit] for n, unit in _RESET.findall(text)) if plain is None else plain
