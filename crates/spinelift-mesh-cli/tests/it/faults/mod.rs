//! The service while things around it fail: nothing that was accepted is lost, health tells the
//! truth throughout, and memory comes back.

mod clock;
mod crowd;
mod database;
mod disk;
mod kill;
mod moment;
mod nodes;
mod origins;
mod peer;
mod receivers;
mod shipped;

use crate::command::spinelift_mesh;
use crate::server::{Server, agent};
use crate::sprites::star;
use peer::{Exchange, Mailbox, Peer};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

/// The folder of a service that is started again and again.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Home { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The service, which may load and call back from this machine, and logs into a file.
    fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut appending = File::options();
        let log = appending.create(true).append(true);
        let log = log.open(self.path("log")).unwrap();
        let mut command = spinelift_mesh();
        command
            .current_dir(self.folder.path())
            .args(["serve", "--port", "0"])
            .env("ALLOWED_PRIVATE_HOSTS", "127.0.0.1")
            .env("LOG_LEVEL", "warn")
            .env("CALLBACK_BACKOFF", "0.1")
            .envs(variables.iter().copied())
            .stderr(Stdio::from(log));
        command
    }

    fn start(&self, variables: &[(&str, &str)]) -> Server {
        Server::spawn(&mut self.command(variables))
    }

    /// Starts in vain: what was said.
    #[track_caller]
    fn refused(&self, variables: &[(&str, &str)]) -> String {
        let mut command = self.command(variables);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        if !line.is_empty() {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it started: {line}");
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The files in a folder and its folders, by name, with what they hold.
    fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        collect(&self.path(folder), &mut files);
        files.sort();
        files
    }

    /// The names of the results in the storage.
    fn results(&self) -> Vec<String> {
        let mut stored = self.stored();
        stored.retain(|name| name.contains("/results/"));
        stored
    }

    /// The names of the files in the storage, but for that by which it is known.
    fn stored(&self) -> Vec<String> {
        let files = self.files("data/storage").into_iter();
        let names = files.map(|(name, _)| name);
        names
            .filter(|name| !name.ends_with("/.spinelift-mesh"))
            .collect()
    }

    /// Says in a file how many seconds a clock is off.
    fn set_clock(&self, name: &str, offset: i64) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, offset.to_string()).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    /// As if all that is stored had been written two hours ago.
    fn let_time_pass(&self) {
        let earlier = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
        for name in self.stored() {
            // It may be gone again.
            if let Ok(file) = File::options().write(true).open(name) {
                file.set_modified(earlier).unwrap();
            }
        }
    }

    /// Whether nothing is stored but so many results.
    fn has_only_results(&self, number: usize) -> bool {
        self.results().len() == number && self.stored().len() == number
    }
}

fn collect(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => collect(&path, files),
            // It may be gone again.
            false => files.extend(fs::read(&path).ok().map(|bytes| {
                let name = path.to_str().unwrap().to_owned();
                (name, bytes)
            })),
        }
    }
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: Value,
}

impl Answer {
    /// "Not now, come back": what a service says that cannot store a job.
    #[track_caller]
    fn is_put_off(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.body["error"]["code"], code, "{self:?}");
        let seconds: Option<u64> = self.retry_after.as_ref().and_then(|s| s.parse().ok());
        assert!(seconds.is_some_and(|seconds| seconds > 0), "{self:?}");
    }
}

/// A request; an error if the connection broke.
fn request(method: &str, url: &str, body: &[u8], kind: &str) -> Result<Answer, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", kind)
        .header("x-api-key", KEY)
        .body(body)
        .unwrap();
    let mut answer = agent.run(request)?;
    let retry_after = answer.headers().get("retry-after");
    Ok(Answer {
        status: answer.status().as_u16(),
        retry_after: retry_after.map(|value| value.to_str().unwrap().to_owned()),
        body: answer.body_mut().read_json().unwrap_or(Value::Null),
    })
}

/// What somebody without a key is answered.
fn fetched(url: &str) -> u16 {
    let answer = agent().get(url).call();
    match answer {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{error}"),
    }
}

/// Sent along always, and needed where `API_KEYS` names it.
const KEY: &str = "0123456789abcdef";

impl Server {
    fn ask(&self, method: &str, path: &str) -> Answer {
        let url = format!("{}{path}", self.base);
        request(method, &url, b"", "application/json").unwrap()
    }

    fn about(&self, id: &str, what: &str) -> Answer {
        self.ask("GET", &format!("/api/v1/mesh/{id}/{what}"))
    }

    fn generate(&self, body: &Value) -> Answer {
        post(&self.base, body).unwrap()
    }

    /// Asks for a job with a receiver, and is told that it is safe.
    #[track_caller]
    fn accept(&self, id: &str, image: &str, receiver: &str) {
        let answer = self.generate(&job(id, image, receiver));
        assert_eq!(answer.status, 202, "{answer:?}");
        let estimate = answer.body["estimated_time"].as_u64().unwrap();
        assert!(estimate < 600, "{answer:?}");
    }

    /// How the job stands, once it has ended.
    #[track_caller]
    fn ended(&self, id: &str) -> Value {
        let mut status = Value::Null;
        self.wait_for(|server| {
            status = server.about(id, "status").body;
            status["finished_at"].is_string()
        });
        let (created, finished) = (&status["created_at"], &status["finished_at"]);
        assert!(created.as_str() <= finished.as_str(), "{status}");
        status
    }

    /// The job has ended well, and there is its result.
    #[track_caller]
    fn completed(&self, id: &str) -> Value {
        let status = self.ended(id);
        assert_eq!(status["status"], "completed", "{status}");
        let result = self.about(id, "result");
        assert_eq!(result.status, 200, "{result:?}");
        assert!(result.body["vertices"].as_array().unwrap().len() > 2);
        status
    }

    /// The one delivery of a job, once it is delivered or given up.
    #[track_caller]
    fn delivery(&self, id: &str) -> Value {
        let mut delivery = Value::Null;
        self.wait_for(|server| {
            let mut known = server.about(id, "deliveries").body;
            // It may be put off.
            let Some(deliveries) = known["deliveries"].as_array_mut() else {
                return false;
            };
            assert!(deliveries.len() <= 1, "{deliveries:?}");
            delivery = deliveries.pop().unwrap_or_default();
            matches!(delivery["status"].as_str(), Some("delivered" | "failed"))
        });
        delivery
    }

    /// The end of a job was told, at least so often, and under one id.
    #[track_caller]
    fn has_told(&self, mailbox: &Mailbox, id: &str, status: &str, least: usize) {
        let delivery = self.delivery(id);
        assert_eq!(delivery["status"], "delivered", "{delivery}");
        let ends = mailbox.ends(id);
        assert!(ends.len() >= least, "{ends:?}");
        for end in &ends {
            assert_eq!(end, &ends[0], "the same each time");
            assert_eq!(delivery["id"], end.id.as_str());
            assert_eq!(end.event["status"], status);
        }
    }

    /// The process can answer, whatever its load and its disks.
    #[track_caller]
    fn is_alive(&self) {
        for (path, status) in [("/health", "healthy"), ("/health/live", "alive")] {
            let answer = self.ask("GET", path);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body["status"], status, "{answer:?}");
        }
    }

    #[track_caller]
    fn wait_until_ready(&self) {
        self.wait_for(|server| {
            server.is_alive();
            server.ask("GET", "/health/ready").status == 200
        });
    }

    /// Waits until it says that it is not ready, because of these checks and no others.
    #[track_caller]
    fn wait_until_not_ready(&self, failing: &[(&str, &str)]) {
        self.wait_for(|server| {
            server.is_alive();
            let answer = server.ask("GET", "/health/ready");
            let checks = answer.body["checks"].as_object().unwrap();
            let failed = checks.iter().filter(|(_, check)| check["ok"] == false);
            let failed: Vec<_> = failed.collect();
            assert_eq!(answer.status == 200, failed.is_empty(), "{answer:?}");
            failed.len() == failing.len()
                && failing.iter().all(|(name, reason)| {
                    let said = &checks[*name]["reason"];
                    said.as_str().is_some_and(|said| said.contains(reason))
                })
        });
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, in KiB.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1);
        number.unwrap().parse().unwrap()
    }

    fn open_files(&self) -> usize {
        self.handles().count()
    }

    /// How many connections it has, those that it listens and asks on included.
    fn connections(&self) -> usize {
        let sockets = self.handles().filter(|target| {
            let target = target.to_str();
            target.is_some_and(|target| target.starts_with("socket:"))
        });
        sockets.count()
    }

    fn handles(&self) -> impl Iterator<Item = PathBuf> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        // One may be closed again.
        files.filter_map(|file| fs::read_link(file.ok()?.path()).ok())
    }
}

/// What a warmed up process may have grown by, in KiB: what allocators keep varies.
const LEEWAY: u64 = 24 * 1024;

/// Does the same twice: the first time for all that is made once, and kept.
#[track_caller]
fn comes_back(server: &Server, mut work: impl FnMut(&str)) {
    work("warm");
    let before = server.memory();
    work("again");
    let after = server.memory();
    assert!(after < before + LEEWAY, "{before} KiB, then {after} KiB");
    server.wait_until_ready();
}

fn job(id: &str, image: &str, receiver: &str) -> Value {
    let mut job = json!({ "job_id": id, "image_url": image });
    if !receiver.is_empty() {
        job["callback_url"] = receiver.into();
    }
    job
}

/// A request that sends an image along.
fn upload(server: &Server, id: &str, receiver: &str) -> Result<Answer, ureq::Error> {
    let mut form = Vec::new();
    for (name, value) in [
        ("job_id", id.as_bytes()),
        ("callback_url", receiver.as_bytes()),
        ("file\"; filename=\"star.png", &star(64, 5)),
    ] {
        let part = "--cut\r\ncontent-disposition: form-data; name=";
        form.extend_from_slice(format!("{part}\"{name}\"\r\n\r\n").as_bytes());
        form.extend_from_slice(value);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--cut--\r\n");
    let url = format!("{}/api/v1/mesh/upload", server.base);
    request("POST", &url, &form, "multipart/form-data; boundary=cut")
}

/// A request that names an image.
fn post(base: &str, job: &Value) -> Result<Answer, ureq::Error> {
    let url = format!("{base}/api/v1/mesh/generate");
    request("POST", &url, job.to_string().as_bytes(), "application/json")
}

/// Holds up whoever passes until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn close(&self) {
        *self.0.0.lock().unwrap() = false;
    }

    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }

    /// An answer with an image, once the gate is open.
    fn image(&self, image: &[u8], exchange: &mut Exchange) {
        self.pass();
        exchange.answer(200, "", image);
    }
    /// A server of an image, which `/gated.png` is only once the gate is open.
    fn images(&self, image: Vec<u8>) -> Peer {
        let gate = self.clone();
        Peer::start(move |exchange| match exchange.path.as_str() {
            "/gated.png" => gate.image(&image, exchange),
            _ => exchange.answer(200, "", &image),
        })
    }
}
