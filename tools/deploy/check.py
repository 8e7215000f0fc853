"""Checks what the linters do not know: the chart, compose.yaml, and that each variable that they or
the image set is a setting of the service."""

import json
import re
import sys
from pathlib import Path

import chart
import compose
import yaml

# Read by libraries, so not in docs/SETTINGS.md.
STANDARD = re.compile(r"OTEL_[A-Z_]+|AWS_[A-Z_]+")


def image_variables():
    text = Path("Dockerfile").read_text().replace("\\\n", " ")
    line = re.search(r"^ENV (.*)$", text, re.MULTILINE)
    return set(re.findall(r"([A-Z_]+)=", line.group(1)))


def unit_variables():
    text = Path("deploy/systemd/spinelift-mesh.service").read_text()
    lines = re.findall(r"^Environment=(.*)$", text, re.MULTILINE)
    return {name for line in lines for name in re.findall(r"([A-Z_]+)=", line)}


def check_names(names):
    table = Path("docs/SETTINGS.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", table, re.MULTILINE))
    assert len(documented) > 20
    unknown = {name for name in names - documented if not STANDARD.fullmatch(name)}
    assert not unknown, f"no settings of the service: {unknown}"
    print(f"settings: {len(names)} names")


def check_grafana():
    """The source that Grafana is given is one that the dashboard asks for."""
    folder = Path("deploy/compose/grafana")
    source = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"][0]
    dashboard = json.loads(Path("deploy/grafana/spinelift-mesh.json").read_text())
    asked = dashboard["templating"]["list"][0]
    assert asked["type"] == "datasource" and asked["query"] == source["type"]
    assert source["isDefault"]
    provider = yaml.safe_load((folder / "dashboards/spinelift-mesh.yaml").read_text())["providers"][0]
    mounts = yaml.safe_load(Path("compose.yaml").read_text())["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana:{provider['options']['path']}:ro" in mounts
    print("grafana: the data source fits the dashboard")


if __name__ == "__main__":
    names = compose.check(Path(sys.argv[1]))
    check_names(names | chart.check() | image_variables() | unit_variables())
    check_grafana()
