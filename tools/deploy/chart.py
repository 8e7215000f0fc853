"""Lints and renders the Helm chart with Helm's own library, once for each file of values in its
folder `ci`, and checks what comes out against the schemas of Kubernetes."""

import copy
import os
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml

CHART = Path("deploy/helm/spinelift-mesh")
# The oldest that the chart allows, and the newest known.
KUBERNETES = ["1.27", "1.37"]
# Of operators: their schemas are not at hand.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
LEAST = {"existingSecret": "mesh", "s3": {"bucket": "sprites"}}
# Changes of these, and a word that the refusal has to say.
REFUSED = [
    ({"existingSecret": ""}, "existingSecret"),
    ({"s3": {"bucket": ""}}, "bucket"),
    ({"s3": {"endpoint": "garage:3900"}}, "endpoint"),
    ({"replicas": 3}, "replicas"),
    ({"api": {"replica": 3}}, "replica"),
    ({"settings": {"JOB_TTL": 5}}, "JOB_TTL"),
    ({"autoscaling": {"kind": "keda"}}, "prometheusAddress"),
    ({"ingress": {"enabled": True}}, "host"),
]


def render(values):
    """The objects that the chart makes of these values, in a list."""
    with quiet(), helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(values)
        files = chart.render(values, name="demo", namespace="mesh")
    texts = (text for name, text in files.items() if not name.endswith("NOTES.txt"))
    return [each for text in texts for each in yaml.safe_load_all(text) if each]


class quiet:
    """Helm tells of each symbolic link that it follows, past Python's own output."""

    def __enter__(self):
        self.saved = os.dup(2)
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)

    def __exit__(self, *_):
        os.dup2(self.saved, 2)
        os.close(self.saved)


def merged(base, change):
    base = copy.deepcopy(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        base[key] = merged(base[key], value) if both else value
    return base


def of_kind(objects, kind):
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == kind}


def variables(objects):
    """Names of all variables that the service gets."""
    names = set()
    for deployment in of_kind(objects, "Deployment").values():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        names |= {each["name"] for each in container["env"]}
    settings = of_kind(objects, "ConfigMap").get("demo-spinelift-mesh-settings")
    return names | set(settings["data"])


def check_values(path):
    values = yaml.safe_load(path.read_text())
    with quiet():
        found = helm_python.lint(str(CHART), values, strict=True)
    # That there is no icon is only information.
    serious = [each for each in found["messages"] if each["severity"] > 1]
    assert not serious and not found["errors"], f"{path}: {found}"
    objects = render(values)
    for each in objects:
        if each["kind"] in FOREIGN:
            continue
        for version in KUBERNETES:
            kubernetes_validate.validate(each, version, strict=True)
    check_deployments(objects, path)
    check_targets(objects, path)
    return objects


def check_deployments(objects, path):
    """What no values may take away."""
    deployments = of_kind(objects, "Deployment")
    settings = of_kind(objects, "ConfigMap")["demo-spinelift-mesh-settings"]["data"]
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"], f"{path}: {name}"
        assert container["securityContext"]["readOnlyRootFilesystem"], f"{path}: {name}"
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, f"{path}: {name}"
        drain = int(settings["DRAIN_DELAY"]) + int(settings["DRAIN_TIMEOUT"])
        assert pod["terminationGracePeriodSeconds"] >= drain + 5, f"{path}: {name}"
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        assert {"/data", "/tmp"} <= mounts, f"{path}: {name}"
        liveness = container["livenessProbe"]["httpGet"]["path"]
        readiness = container["readinessProbe"]["httpGet"]["path"]
        assert (liveness, readiness) == ("/health/live", "/health/ready"), f"{path}: {name}"


def check_targets(objects, path):
    """Whatever points at something points at something that is there."""
    deployments = of_kind(objects, "Deployment")
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in deployments.values()]

    def chosen(labels):
        return any(labels.items() <= pod.items() for pod in pods)

    for each in objects:
        name, spec = f"{path}: {each['kind']} {each['metadata']['name']}", each.get("spec", {})
        if each["kind"] in ("HorizontalPodAutoscaler", "ScaledObject"):
            scaled = deployments[spec["scaleTargetRef"]["name"]]
            assert "replicas" not in scaled["spec"], name
        if each["kind"] == "Service":
            assert chosen(spec["selector"]), name
        if each["kind"] == "PodDisruptionBudget":
            assert chosen(spec["selector"]["matchLabels"]), name
        if each["kind"] == "NetworkPolicy":
            assert chosen(spec["podSelector"]["matchLabels"]), name
        if each["kind"] == "ServiceMonitor":
            labels = [one["metadata"]["labels"] for one in of_kind(objects, "Service").values()]
            wanted = spec["selector"]["matchLabels"].items()
            assert sum(wanted <= one.items() for one in labels) == 1, name
        if each["kind"] == "Ingress":
            backend = spec["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"]
            assert backend in of_kind(objects, "Service"), name


def check_roles():
    both, alone = render(LEAST), render(merged(LEAST, {"worker": {"enabled": False}}))
    for objects, expected in [(both, {"api", "worker"}), (alone, {"all"})]:
        roles = set()
        for deployment in of_kind(objects, "Deployment").values():
            env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
            roles |= {each["value"] for each in env if each["name"] == "ROLE"}
        assert roles == expected, roles


def check_refusals():
    for change, word in REFUSED:
        try:
            render(merged(LEAST, change))
        except helm_python.HelmError as error:
            assert word in str(error), f"{change}: {error}"
        else:
            raise AssertionError(f"{change} is not refused")


def check():
    """All of it; gives the names of the variables that the chart sets."""
    files = sorted(CHART.glob("ci/*.yaml"))
    assert files
    names, kinds = set(), set()
    for path in files:
        objects = check_values(path)
        names |= variables(objects)
        kinds |= {each["kind"] for each in objects}
    assert FOREIGN | {"HorizontalPodAutoscaler", "Ingress", "NetworkPolicy"} <= kinds, kinds
    check_roles()
    check_refusals()
    print(f"chart: {len(files)} files of values, {len(REFUSED)} refusals, "
          f"Helm {helm_python.helm_sdk_version()}, Kubernetes {' and '.join(KUBERNETES)}")
    return names
