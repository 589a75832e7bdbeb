"""Prompts: which string stands in front of a text, decided once, outside the models; and routes.

A prompts table maps a role (`query`, `document`: retrieval, reranking, instruction_reranking) or a task
kind's name to a string; a kind's own entry comes before its roles', as in mteb, and `sentence` serves every
other kind that has none. A routes table maps the same keys to the name of a network's adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from harness.types import Texts

POLICIES = ("card", "mteb", "none")
RETRIEVAL_KINDS = ("retrieval", "reranking", "instruction_reranking")
OTHER_KINDS = (
    "sts",
    "pair_classification",
    "classification",
    "multilabel",
    "clustering",
    "summarization",
    "bitext",
    "triplet",
)
KEYS = ("query", "document", "sentence", *OTHER_KINDS, *RETRIEVAL_KINDS[1:])


def prompt_for(prompts: Mapping[str, str], policy: str, task_kind: str, role: str) -> str:
    """The prompt of texts that have `role` in a task of `task_kind`; empty where there is none.

    Policies: `card` uses the whole table; `mteb` only query and document prompts, in retrieval-like
    kinds only, as mteb passes prompt types; `none` nothing.

    Raises:
        UnknownNameError: a policy, task kind, role or key of the table that nobody knows.
    """
    check_policy(policy)
    check_keys(prompts)
    if role not in ("query", "document", "sentence"):
        raise UnknownNameError("role", role, ("query", "document", "sentence"))
    if task_kind not in (*RETRIEVAL_KINDS, *OTHER_KINDS):
        raise UnknownNameError("task kind", task_kind, (*RETRIEVAL_KINDS, *OTHER_KINDS))
    retrieval = task_kind in RETRIEVAL_KINDS
    if policy == "none" or (policy == "mteb" and not retrieval):
        return ""
    if retrieval and role != "sentence":
        return prompts.get(task_kind, prompts.get(role, ""))
    return "" if policy == "mteb" else prompts.get(task_kind, prompts.get("sentence", ""))


def roles_of(task_kind: str) -> tuple[str, ...]:
    """The roles that texts of a task kind have."""
    return ("query", "document") if task_kind in RETRIEVAL_KINDS else ("sentence",)


def route_for(routes: Mapping[str, str], task_kind: str, role: str) -> str:
    """The adapter for texts that have `role` in a task of `task_kind`; empty where there is none.

    Prompt policies have no part in it: the adapter is the network's, not the text's.

    Raises:
        UnknownNameError: a task kind, role or key of the table that nobody knows.
    """
    return prompt_for(routes, "card", task_kind, role)


def render(texts: Texts, prompt: str) -> Texts:
    """The texts with `prompt` put in front of each, said so in the result's `prompt`.

    Raises:
        ConfigError: the texts carry a prompt already; two would be scored as one text.
    """
    if texts.prompt:
        raise ConfigError(
            f"these texts carry the prompt {texts.prompt!r} already; {prompt!r} would double it"
        )
    return replace(texts, items=[prompt + text for text in texts.items], prompt=prompt) if prompt else texts


def same_prompts(prompts: Mapping[str, str], policy: str, other: str, task_kind: str) -> bool:
    """Whether two policies put the same prompts in front of every text of a task kind."""
    return all(
        prompt_for(prompts, policy, task_kind, role) == prompt_for(prompts, other, task_kind, role)
        for role in roles_of(task_kind)
    )


def policy_matters(prompts: Mapping[str, str], policy: str) -> bool:
    """Whether a policy puts another prompt than `card` does in front of the texts of any task kind."""
    return not all(same_prompts(prompts, policy, "card", kind) for kind in (*RETRIEVAL_KINDS, *OTHER_KINDS))


def unused_prompts(prompts: Mapping[str, str], policy: str, task_kinds: Iterable[str]) -> tuple[str, ...]:
    """Keys of the table whose string stands in front of no text of these task kinds, in order."""
    given = {prompt_for(prompts, policy, kind, role) for kind in task_kinds for role in roles_of(kind)}
    return tuple(key for key, prompt in prompts.items() if prompt and prompt not in given)


def contradicted(prompts: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Keys of `stored` for which `prompts` gives another string: key to (what it gives, what is stored)."""
    given = {
        key: prompts.get(key, prompts.get("sentence", "") if key in OTHER_KINDS else "") for key in stored
    }
    return {key: (given[key], text) for key, text in stored.items() if text and given[key] != text}


def check_policy(policy: str) -> None:
    """Raise UnknownNameError for a policy that does not exist."""
    if policy not in POLICIES:
        raise UnknownNameError("prompt policy", policy, POLICIES, f"known: {', '.join(POLICIES)}")


def check_keys(prompts: Mapping[str, str], what: str = "prompt key") -> None:
    """Raise UnknownNameError for a key that no role and no task kind would ever look up."""
    for key in prompts:
        if key not in KEYS:
            raise UnknownNameError(what, key, KEYS, f"known keys: {', '.join(KEYS)}")
