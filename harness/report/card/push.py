"""Bringing edited files to a model's repository on the Hub: one commit, a pull request unless told otherwise.

The bytes that are committed are the edited ones; nothing is dumped anew. The commit names the one that was
read as its parent, so that a card that has moved on is not overwritten. The token comes from the
environment and is never shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import ConfigError, HarnessError
from harness.network import transport_errors
from harness.report.card.files import File

TITLE = "Add evaluation results"
REASONS = {
    401: "the token is not valid",
    403: "the token may not write there",
    409: "the repository has changed since it was read; run again",
    412: "the repository has changed since it was read; run again",
}


class Remote(NamedTuple):
    """A repository at one commit.

    Attributes:
        commit: what was read, and the parent of what will be written.
        read: a file's bytes by its path; None where there is none.
        requests: open pull requests, `#3 title (author)`.
    """

    commit: str
    read: Callable[[str], bytes | None]
    requests: list[str]


def hub_api() -> Any:
    """huggingface_hub's API with the token of HF_TOKEN.

    Raises:
        ConfigError: no token in the environment.
    """
    token = os.environ.get("HF_TOKEN")
    if not token:
        raise ConfigError("--push needs a token that may write: set HF_TOKEN")
    from huggingface_hub import HfApi

    return HfApi(token=token)


def remote(api: Any, repository: str) -> Remote:
    """The repository at its newest commit, with its open pull requests.

    Raises:
        HarnessError: the Hub cannot be reached, or has no such repository.
    """
    open_ones = _asked(
        repository,
        lambda: list(
            api.get_repo_discussions(
                repository, discussion_type="pull_request", discussion_status="open", repo_type="model"
            )
        ),
    )
    commit = _asked(repository, lambda: api.model_info(repository).sha)
    there = set(_asked(repository, lambda: api.list_repo_files(repository, revision=commit)))

    def read(path: str) -> bytes | None:
        if path not in there:
            return None
        local = _asked(repository, lambda: api.hf_hub_download(repository, path, revision=commit))
        return Path(local).read_bytes()

    return Remote(commit, read, [f"#{one.num} {one.title} ({one.author})" for one in open_ones])


def push(
    api: Any,
    repository: str,
    files: Sequence[File],
    parent: str,
    description: str,
    *,
    direct: bool = False,
) -> str:
    """Commit the files that change; returns the address of the pull request, or of the commit.

    Args:
        parent: the commit that was read; the Hub refuses where it is no longer the newest.
        direct: commit to the main branch.

    Raises:
        HarnessError: the Hub cannot be reached, or refuses.
    """
    from huggingface_hub import CommitOperationAdd

    operations = [
        CommitOperationAdd(path_in_repo=file.path, path_or_fileobj=file.after) for file in files if file.stale
    ]
    made = _asked(
        repository,
        lambda: api.create_commit(
            repository,
            operations,
            commit_message=TITLE,
            commit_description=description,
            repo_type="model",
            create_pr=not direct,
            parent_commit=parent,
        ),
    )
    return str(made.commit_url if direct else made.pr_url)


def _asked(repository: str, call: Callable[[], Any]) -> Any:
    """What the Hub answers; its errors, which may carry headers and addresses, in one line."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    failures: tuple[type[Exception], ...] = (OSError, *transport_errors())
    try:
        return call()
    except RepositoryNotFoundError as error:
        raise HarnessError(f"the Hub has no model {repository}, or HF_TOKEN may not see it") from error
    except HFValidationError as error:
        raise HarnessError(f"{repository!r} is not ORG/NAME") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = (error.server_message or "").splitlines() or [REASONS.get(status, "no reason given")]
        raise HarnessError(f"the Hub refuses for {repository} ({status}): {said[0]}") from error
    except failures as error:
        raise HarnessError(f"the Hub cannot be reached for {repository} ({type(error).__name__})") from error
