"""Bringing a card to the Hub: one commit on the one that was read, and no token in any message."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from harness.errors import ConfigError, HarnessError
from harness.report.card.files import File
from harness.report.card.push import hub_api, push, remote


class FakeHub:
    """The part of HfApi that is used: a repository of files, and what was asked of it.

    Every call is checked against the real method's parameters.
    """

    def __init__(self, folder: Path, files: dict[str, bytes], failure: Exception | None = None) -> None:
        self.folder, self.files, self.failure = folder, files, failure
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.committed: dict[str, bytes] = {}

    def _note(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        import inspect

        inspect.signature(getattr(HfApi, name)).bind(self, *arguments, **options)
        self.calls.append((name, options))
        if self.failure is not None:
            raise self.failure

    def get_repo_discussions(self, *arguments: Any, **options: Any) -> Any:
        self._note("get_repo_discussions", arguments, options)
        yield SimpleNamespace(num=3, title="Add scores", author="you")

    def model_info(self, *arguments: Any, **options: Any) -> Any:
        self._note("model_info", arguments, options)
        return SimpleNamespace(sha="c0ffee")

    def list_repo_files(self, *arguments: Any, **options: Any) -> list[str]:
        self._note("list_repo_files", arguments, options)
        return list(self.files)

    def hf_hub_download(self, repository: str, path: str, **options: Any) -> str:
        self._note("hf_hub_download", (repository, path), options)
        local = self.folder / "downloaded"
        local.write_bytes(self.files[path])
        return str(local)

    def create_commit(self, repository: str, operations: Any, **options: Any) -> Any:
        self._note("create_commit", (repository, operations), options)
        self.committed = {one.path_in_repo: one.path_or_fileobj for one in operations}
        return SimpleNamespace(
            pr_url="https://hub/pr/4" if options["create_pr"] else None, commit_url="https://hub/c/1"
        )


FILES = [File("README.md", b"old", b"new"), File("same.yaml", b"x", b"x"), File("b.yaml", None, b"y")]


def test_a_pull_request_with_the_edited_bytes(tmp_path: Path) -> None:
    hub = FakeHub(tmp_path, {"README.md": b"old"})
    there = remote(hub, "org/a")
    assert there.requests == ["#3 Add scores (you)"]
    assert there.read("README.md") == b"old"
    assert there.read("b.yaml") is None
    assert push(hub, "org/a", FILES, there.commit, "about") == "https://hub/pr/4"
    assert hub.committed == {"README.md": b"new", "b.yaml": b"y"}
    names = [name for name, _ in hub.calls]
    assert names[0] == "get_repo_discussions"
    assert names.count("create_commit") == 1
    options = hub.calls[-1][1]
    assert (options["create_pr"], options["parent_commit"], options["repo_type"]) == (True, "c0ffee", "model")
    assert dict(hub.calls)["hf_hub_download"]["revision"] == "c0ffee"
    assert dict(hub.calls)["get_repo_discussions"]["discussion_status"] == "open"


def test_a_direct_commit(tmp_path: Path) -> None:
    hub = FakeHub(tmp_path, {})
    assert push(hub, "org/a", FILES, "c0ffee", "about", direct=True) == "https://hub/c/1"
    assert hub.calls[-1][1]["create_pr"] is False


def refusal(kind: type[HfHubHTTPError], status: int, said: str | None = None) -> HfHubHTTPError:
    headers = {"x-request-id": "1", "authorization": "Bearer hf_secret"}
    response: Any = SimpleNamespace(status_code=status, headers=headers, request=None)
    return kind("hf_secret in a message", response=response, server_message=said)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (refusal(RepositoryNotFoundError, 404), "no model org/a, or HF_TOKEN may not see it"),
        (refusal(HfHubHTTPError, 403), r"refuses for org/a \(403\): the token may not write there"),
        (refusal(HfHubHTTPError, 412), r"\(412\): the repository has changed"),
        (refusal(HfHubHTTPError, 400, "Invalid metadata\nmore"), r"\(400\): Invalid metadata$"),
        (OfflineModeIsEnabled("hf_secret"), r"cannot be reached for org/a \(OfflineModeIsEnabled\)"),
        (TimeoutError("hf_secret"), "cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_said_without_the_token(
    tmp_path: Path, failure: Exception, message: str
) -> None:
    hub = FakeHub(tmp_path, {}, failure)
    for call in (lambda: remote(hub, "org/a"), lambda: push(hub, "org/a", FILES, "c", "about")):
        with pytest.raises(HarnessError, match=message) as caught:
            call()
        assert "hf_secret" not in str(caught.value)


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="set HF_TOKEN"):
        hub_api()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub_api().token == "hf_secret"
