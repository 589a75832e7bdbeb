"""A gate's answer for CI systems: JUnit XML, GitHub's annotations, GitLab's code quality report."""

from __future__ import annotations

import hashlib
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from harness.report.gate.decide import Gate
from harness.report.gate.render import detectable, headline
from harness.report.gate.verdict import Check

_COUNTED = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_ANNOTATED = 10  # GitHub shows ten annotations of a step


def to_junit(gate: Gate) -> str:
    """JUnit XML as common CI systems show it: one test case a check; an invalid comparison is an error.

    Tasks that are not gated, since results are missing, count as skipped. Some readers ask for a time.
    """
    checks = () if gate.invalid else gate.checks
    cases = [
        _case(f"gate.{gate.suite}", _subject(line), "error", "not comparable", line) for line in gate.invalid
    ]
    cases += [_case_of(check, f"gate.{gate.suite}.{check.level}") for check in checks]
    cases += [
        _case(f"gate.{gate.suite}.task", name, "skipped", "", "not gated, since results are missing")
        for name in gate.absent
    ]
    counts = {"tests": len(cases), "time": 0}
    for what, counted in _COUNTED.items():
        counts[counted] = sum(case.find(what) is not None for case in cases)
    suites = ElementTree.Element("testsuites", {"name": "harness gate"})
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        {"name": _xml(f"gate {gate.suite}")} | {name: str(count) for name, count in counts.items()},
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("model", gate.new), ("baseline", gate.old), ("level", f"{gate.level:g}")):
        ElementTree.SubElement(properties, "property", name=name, value=_xml(value))
    suite.extend(cases)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case_of(check: Check, place: str) -> Element:
    scores = (
        f"{check.metric}: {check.old:.4f} to {check.new:.4f}; {check.test or 'no per-example values to test'}"
    )
    if check.detectable is not None:
        scores += f"; detectable: {detectable(check.detectable)}"
    if check.bad:
        case = _case(place, check.title, "failure", check.verdict, check.reason)
        case[0].text = _xml(scores)
    else:
        case = _case(place, check.title)
        said = f"{check.verdict}: {check.reason}" if check.reason else check.verdict
        ElementTree.SubElement(case, "system-out").text = _xml(f"{said}; {scores}")
    return case


def _case(place: str, name: str, what: str = "", type_: str = "", message: str = "") -> Element:
    case = ElementTree.Element("testcase", classname=_xml(place), name=_xml(name), time="0")
    if what:
        ElementTree.SubElement(case, what, {"message": _xml(message)} | ({"type": type_} if type_ else {}))
    return case


def to_github(gate: Gate) -> str:
    """Workflow commands that GitHub shows as annotations."""
    lines = [f"::error title=gate not comparable::{_command(line)}" for line in gate.invalid]
    lines += [
        f"::error title=gate {_property(c.title)}::{_command(c.reason)}"
        for c in (() if gate.invalid else gate.failed)
    ]
    if len(lines) > _ANNOTATED:
        lines = [*lines[: _ANNOTATED - 1], f"::error title=gate::and {len(lines) - _ANNOTATED + 1} more"]
    return "".join(f"{line}\n" for line in lines or [f"::notice title=gate::{_command(headline(gate))}"])


def to_gitlab(gate: Gate) -> list[dict[str, Any]]:
    """GitLab's code quality report, which a merge request shows; JSON-ready."""
    found = [(_subject(line), line, "blocker", line) for line in gate.invalid]
    checks = () if gate.invalid else gate.failed
    found += [(c.title, f"{c.title}: {c.reason}", "major", f"{c.level} {c.name}") for c in checks]
    return [
        {
            "description": text,
            "check_name": f"gate {name}",
            "fingerprint": _digest(gate.suite, what),  # of two findings with one, GitLab shows one
            "severity": severity,
            "location": {"path": f"gate/{gate.suite}/{name}", "lines": {"begin": 1}},
        }
        for name, text, severity, what in found
    ]


def _subject(line: str) -> str:
    """What a line on an invalid comparison is about: the task that it begins with, or its first words."""
    head, colon, _ = line.partition(":")
    return head if colon and "\n" not in head and " " not in head else "comparison"


def _xml(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or (c >= "\ue000" and c not in "\ufffe\uffff") else "�"
        for c in text
    )


def _command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Of a workflow command's property, which ends at a comma or colon."""
    return _command(text).replace(":", "%3A").replace(",", "%2C")


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
