"""Checks compose.yaml: that each secret is asked for, and what is left once they are filled in."""

import subprocess
from pathlib import Path

import podman_compose
import yaml

COMPOSE = Path("compose.yaml")


def new_secrets():
    """What deploy/compose/new-secrets prints, as a dictionary."""
    text = subprocess.run(
        ["deploy/compose/new-secrets"], check=True, capture_output=True, text=True
    ).stdout
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def check(filled):
    """Writes the file with its variables filled in; gives the names of the service's variables."""
    compose, secrets = yaml.safe_load(COMPOSE.read_text()), new_secrets()
    for missing in secrets:
        rest = {name: value for name, value in secrets.items() if name != missing}
        try:
            podman_compose.rec_subs(compose, rest)
        except ValueError as error:
            assert missing in str(error) and "new-secrets" in str(error), error
        else:
            raise AssertionError(f"compose.yaml does not ask for {missing}")
    compose = podman_compose.rec_subs(compose, secrets)
    filled.write_text(yaml.safe_dump(compose))
    services = compose["services"]
    for name, service in services.items():
        assert ":" in service["image"] and "latest" not in service["image"], name
        assert "healthcheck" in service or name == "proxy", name
        for needed in service.get("depends_on", {}):
            assert "healthcheck" in services[needed], f"{name} waits for {needed}, which has none"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = Path(source).exists() if source.startswith(".") else source in compose["volumes"]
            assert known, f"{name}: there is no {source}"
    nodes = {name: each for name, each in services.items() if name.startswith("mesh-")}
    assert len(nodes) == 2
    scraped = Path("deploy/compose/prometheus.yaml").read_text()
    proxied = Path("deploy/compose/Caddyfile").read_text()
    for name, node in nodes.items():
        assert node["environment"]["NODE_NAME"] == name
        assert f"{name}:8000" in scraped and f"{name}:8000" in proxied, name
        assert node["read_only"] and node["cap_drop"] == ["ALL"], name
    print(f"compose: {len(services)} services, {len(secrets)} secrets that are asked for")
    return set().union(*(each["environment"] for each in nodes.values()))
