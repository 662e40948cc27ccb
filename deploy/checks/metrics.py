#!/usr/bin/env python3
"""Checks what the Prometheus rules and the Grafana dashboards ask for.

    metrics.py [DUMP...]

Every metric that they name must be in metrics.txt, with the labels that they select by. With dumps of /metrics of a
running system (one of `earshot up`, or one of each service) it must also be exported, and metrics.txt must hold every
metric of ours that is exported. `metrics.py --expressions` prints the dashboards' expressions as a file of rules, for
promtool to read.
"""

import json
import re
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
NAME = re.compile(r"\b((?:earshot|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
SUFFIX = re.compile(r"_(bucket|sum|count)$")
# Added by Prometheus when it scrapes.
TARGET_LABELS = {"job", "instance", "le"}


def expressions_of(dashboard: dict) -> list[str]:
    """The expressions of a dashboard, with Grafana's variables filled in."""
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    return [re.sub(r"\$__\w+", "5m", expression) for expression in found]


def dashboards() -> list[tuple[str, str]]:
    """File and expression of everything that is asked for by dashboards."""
    files = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    return [(file.name, expression) for file in files for expression in expressions_of(json.loads(file.read_text()))]


def rules() -> list[tuple[str, str]]:
    """The rules' file; its annotations name no metric."""
    file = DEPLOY / "prometheus/rules.yml"
    return [(file.name, file.read_text())]


def contract() -> dict[str, set[str]]:
    """Name and labels of every metric of metrics.txt."""
    lines = (DEPLOY / "checks/metrics.txt").read_text().splitlines()
    found = [NAME.fullmatch(line) for line in lines if line and not line.startswith("#")]
    return {match[1]: set((match[2] or "").split(",")) - {""} for match in found}


def exported(dumps: list[str]) -> set[str]:
    """The names in dumps of /metrics."""
    text = "\n".join(Path(dump).read_text() for dump in dumps)
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def faults(dumps: list[str]) -> list[str]:
    """One line for each thing that is wrong."""
    known = contract()
    out = exported(dumps)
    found = []
    for file, text in dashboards() + rules():
        for written, selector in NAME.findall(text):
            name = written if written in known else SUFFIX.sub("", written)
            if name not in known:
                found.append(f"{file}: {written} is not in metrics.txt")
                continue
            for label in set(LABEL.findall(selector)) - known[name] - TARGET_LABELS:
                found.append(f"{file}: {written} has no label `{label}`")
            if dumps and name not in out:
                found.append(f"{file}: {written} is not exported")
    for name in out:
        if name.startswith("earshot_") and name not in known:
            found.append(f"metrics.txt lacks {name}, which is exported")
    return sorted(set(found))


def main() -> int:
    if sys.argv[1:] == ["--expressions"]:
        rule = [{"record": "dashboard:expression", "labels": {"number": str(number), "file": file}, "expr": expression}
                for number, (file, expression) in enumerate(dashboards())]
        print(json.dumps({"groups": [{"name": "dashboards", "rules": rule}]}))
        return 0
    found = faults(sys.argv[1:])
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
