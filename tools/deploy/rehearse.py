"""Runs what compose.yaml describes without containers: the same programs with the same arguments,
variables and files, each at a loopback address of its own that takes the place of its name."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import compose
import podman_compose
import yaml

ADDRESSES = {
    "mesh-1": "127.47.0.1",
    "mesh-2": "127.47.0.2",
    "proxy": "127.47.0.3",
    "redis": "127.47.0.4",
    "s3": "127.47.0.5",
    "prometheus": "127.47.0.6",
}
NODES = ["mesh-1", "mesh-2"]
# A rehearsal that hangs is one that failed.
PATIENCE = 90


def localized(value):
    """The same with addresses in the place of names."""
    names = "|".join(map(re.escape, ADDRESSES))
    # A name stands alone: `redis` in `redis://` and `-bucket` are none.
    pattern = re.compile(rf"(?<![\w.-])({names})(?=:\d)")
    return pattern.sub(lambda found: ADDRESSES[found.group(1)], value)


class Stage:
    def __init__(self, folder, programs, secrets, embedded):
        self.folder, self.programs, self.secrets = folder, programs, secrets
        self.embedded = embedded
        loaded = yaml.safe_load(compose.COMPOSE.read_text())
        self.services = podman_compose.rec_subs(loaded, secrets)["services"]
        self.running = {}

    def start(self, name, command, variables=None):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        with open(folder / "log", "ab") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(folder), **(variables or {})},
            )

    def start_redis(self):
        self.start("redis", [
            *self.services["redis"]["command"],
            "--bind", ADDRESSES["redis"], "--dir", str(self.folder / "redis"),
        ])
        wait_for("redis", lambda: redis_answers(self.secrets["REDIS_PASSWORD"]))

    def start_s3(self):
        service = self.services["s3"]
        address, data = ADDRESSES["s3"], str(self.folder / "s3")
        places = {"-dir=/data": f"-dir={data}", "-ip=s3": f"-ip={address}", "-ip.bind=0.0.0.0": f"-ip.bind={address}"}
        arguments = [places.get(each, each) for each in service["command"]]
        self.start("s3", [self.programs["weed"], *arguments], service["environment"])
        # As its container is asked.
        asked = re.findall(r"http://127\.0\.0\.1:(\d+)(/\S*)", service["healthcheck"]["test"][-1])
        assert asked
        wait_for("s3", lambda: all(get(address, int(port), path)[0] == 200 for port, path in asked))

    def start_node(self, name):
        variables = {key: localized(str(value)) for key, value in self.services[name]["environment"].items()}
        variables |= {"HOST": ADDRESSES[name], "PORT": "8000", "TRUSTED_PROXIES": "127.0.0.0/8"}
        if self.embedded:
            variables |= {"JOB_BACKEND": "embedded", "STORAGE_BACKEND": "local"}
        self.start(name, [self.programs["spinelift-mesh"], "serve"], variables)
        # As its container is asked.
        health = [self.programs["spinelift-mesh"], "health"]

        def is_healthy():
            # Compose gives up, too, when a container ends that another waits for.
            code = self.running[name].poll()
            assert code is None, f"{name} ended with {code}"
            return subprocess.run(health, env=variables, capture_output=True).returncode == 0

        wait_for(name, is_healthy)

    def start_proxy(self):
        text = localized(Path("deploy/compose/Caddyfile").read_text())
        text = text.replace("\n:8080 {", f"\n:8080 {{\n\tbind {ADDRESSES['proxy']}")
        file = self.folder / "Caddyfile"
        file.write_text(text)
        self.start("proxy", [self.programs["caddy"], "run", "--adapter", "caddyfile", "--config", str(file)])
        wait_for("proxy", lambda: get(ADDRESSES["proxy"], 8080, "/health/ready")[0] == 200)

    def start_prometheus(self):
        key, file = self.folder / "metrics_key", self.folder / "prometheus.yaml"
        key.write_text(self.secrets["METRICS_KEY"])
        text = localized(Path("deploy/compose/prometheus.yaml").read_text())
        text = text.replace("/run/secrets/metrics_key", str(key)).replace("15s", "1s")
        file.write_text(text.replace("alerts.yaml", str(Path("deploy/prometheus/alerts.yaml").resolve())))
        self.start("prometheus", [
            self.programs["prometheus"], f"--config.file={file}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}",
            f"--web.listen-address={ADDRESSES['prometheus']}:9090",
        ])

    def stop(self, name, how=signal.SIGTERM):
        """Its exit code."""
        process = self.running.pop(name)
        process.send_signal(how)
        return process.wait(PATIENCE)

    def tear_down(self):
        for process in self.running.values():
            process.kill()
            process.wait()


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if condition():
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def request(address, port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get(address, port, path, headers=None):
    return request(address, port, "GET", path, headers=headers)


def redis_answers(password):
    client = ["redis-cli", "-h", ADDRESSES["redis"], "ping"]
    found = subprocess.run(client, env={**os.environ, "REDISCLI_AUTH": password}, capture_output=True)
    return b"PONG" in found.stdout


class Client:
    """Somebody who knows nothing but the address of the proxy and a key."""

    def __init__(self, key):
        self.headers = {"Authorization": f"Bearer {key}"}

    def post_sprite(self, query=""):
        boundary = uuid.uuid4().hex
        image = Path("assets/samples/rocket.png").read_bytes()
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"rocket.png\"\r\n"
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
        headers = {**self.headers, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        return request(ADDRESSES["proxy"], 8080, "POST", f"/api/v1/mesh/upload{query}", body, headers)

    def get(self, path):
        return get(ADDRESSES["proxy"], 8080, path, self.headers)


def check_service(client, embedded):
    status, body = client.post_sprite("?wait=30")
    assert status == 200 and json.loads(body)["result"]["triangles"], (status, body[:300])
    assert client.get("/metrics")[0] == 404
    assert get(ADDRESSES["proxy"], 8080, "/api/v1/mesh")[0] == 401
    if embedded:
        return
    status, body = client.post_sprite()
    assert status == 202, (status, body[:300])
    job = f"/api/v1/mesh/{json.loads(body)['job_id']}"
    wait_for("the job", lambda: json.loads(client.get(f"{job}/status")[1])["status"] == "completed")
    # From whichever node answers.
    for _ in range(20):
        status, body = client.get(f"{job}/result")
        assert status == 200 and json.loads(body)["triangles"], (status, body[:300])


def check_scrapes():
    def up():
        answer = get(ADDRESSES["prometheus"], 9090, "/api/v1/query?query=up%7Bjob%3D%22spinelift-mesh%22%7D")
        found = json.loads(answer[1])["data"]["result"]
        return sorted(each["value"][1] for each in found) == ["1", "1"]

    wait_for("both nodes to be scraped", up)
    rules = json.loads(get(ADDRESSES["prometheus"], 9090, "/api/v1/rules")[1])["data"]["groups"]
    assert all(rule["health"] != "err" for group in rules for rule in group["rules"])


def check_restarts(stage, client):
    """Each node is restarted once while a client goes on: it must not notice."""
    answers = []
    for name in NODES:
        process = stage.running[name]
        process.terminate()
        while process.poll() is None:
            answers.append(client.post_sprite("?wait=30")[0])
        assert process.returncode == 0, process.returncode
        stage.start_node(name)
    assert answers and set(answers) == {200}, answers
    return len(answers)


def main(programs, embedded):
    secrets = compose.new_secrets()
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), programs, secrets, embedded)
        try:
            if not embedded:
                stage.start_redis()
            stage.start_s3()
            for name in NODES:
                stage.start_node(name)
            stage.start_proxy()
            stage.start_prometheus()
            client = Client(secrets["API_KEY"])
            check_service(client, embedded)
            check_scrapes()
            requests = check_restarts(stage, client)
            print(f"rehearsed: {', '.join(stage.running)}; {requests} requests during restarts, all answered")
        except BaseException:
            for log in sorted(Path(folder).glob("*/log")):
                print(f"--- {log.parent.name}\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
            raise
        finally:
            stage.tear_down()


if __name__ == "__main__":
    names = ["spinelift-mesh", "weed", "caddy", "prometheus"]
    main(dict(zip(names, sys.argv[1:])), "--embedded" in sys.argv)
