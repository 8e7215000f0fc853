//! A long run at full load against the real program, run by hand:
//!
//! ```sh
//! cargo build --release && cargo run --release --example soak -- target/release/spinelift-mesh 3600
//! ```
//!
//! Clients post jobs as fast as they are taken: good sprites, many of them alike, and images from
//! servers that hang, drip, fail, lie or send bombs. The receiver of the callbacks fails now and
//! then. Each minute prints a line; at the end every accepted job must have ended as it should,
//! and every end must have been told.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Clients that post at the same time.
const CLIENTS: usize = 32;

/// Different sprites; each is asked for again and again.
const SPRITES: u32 = 40;

/// One callback in so many is answered with an error.
const FLAKY: u64 = 20;

#[derive(Default)]
struct World {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    unreachable: AtomicU64,
    ended: Mutex<HashMap<&'static str, u64>>,
    wrong: Mutex<Vec<String>>,
    milliseconds: Mutex<Vec<u32>>,
    /// The jobs whose end has to be told, and how often it was.
    told: Mutex<HashMap<String, u32>>,
    callbacks: AtomicU64,
    refused_callbacks: AtomicU64,
    stop: AtomicBool,
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: soak PROGRAM SECONDS";
    let program = arguments.next().expect(usage);
    let seconds: u64 = arguments.next().expect(usage).parse().expect(usage);

    // Nothing here is encrypted, and yet HTTP clients do not start without.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = Arc::new(World::default());
    let here = neighbour(Arc::clone(&world)).await;
    let directory = TempDir::new().unwrap();
    let (child, base) = start(&program, directory.path(), &here);
    let child = Arc::new(Mutex::new(child));
    println!(
        "minute  accepted  ended  turned away  callbacks  waiting to be told  p50 ms  p95 ms  p99 ms  RSS MiB  fds  disk MiB  ready"
    );

    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client(Arc::clone(&world), base.clone(), here.clone())))
        .collect();
    let pid = child.lock().unwrap().id();
    let mut minute = 0;
    while began.elapsed() < Duration::from_secs(seconds) {
        tokio::time::sleep(Duration::from_secs(60.min(seconds))).await;
        minute += 1;
        line(minute, &world, pid, directory.path(), &base).await;
    }
    world.stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    settle(&world).await;
    line(minute + 1, &world, pid, directory.path(), &base).await;
    finish(&world, &mut child.lock().unwrap());
}

/// Starts the program on a free port, and waits until it says which.
fn start(program: &str, directory: &std::path::Path, here: &str) -> (Child, String) {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(program)
        .args(["serve", "--port", "0"])
        .current_dir(directory)
        .env("ALLOWED_PRIVATE_HOSTS", here)
        .env("LOG_LEVEL", "error")
        .env("JOB_TTL", "300")
        .env("RESULT_CACHE_SIZE", "16777216")
        .env("MAX_DOWNLOADS_PER_HOST", "48")
        .env("IMAGE_FIRST_BYTE_TIMEOUT", "2")
        .env("IMAGE_TIMEOUT", "5")
        .env("IMAGE_TRIES", "2")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    let base = first.split_whitespace().nth(2).unwrap().to_owned();
    (child, base)
}

/// A job to be posted, and how it must end.
struct Kind {
    path: &'static str,
    code: Option<&'static str>,
}

/// Most are good; the last ones keep a worker busy for seconds, so they are rare.
fn kind() -> Kind {
    let bad = |path, code| Kind {
        path,
        code: Some(code),
    };
    match fastrand::u32(0..1000) {
        0..900 => Kind {
            path: "sprite",
            code: None,
        },
        900..930 => bad("missing", "IMAGE_LOAD_FAILED"),
        930..950 => bad("html", ""),
        950..970 => bad("bomb", ""),
        970..985 => bad("clear", "CONTOUR_EXTRACTION_FAILED"),
        985..990 => bad("fails", "IMAGE_LOAD_FAILED"),
        990..995 => bad("lies", "IMAGE_LOAD_FAILED"),
        995..998 => bad("drips", "IMAGE_LOAD_FAILED"),
        _ => bad("hangs", "IMAGE_LOAD_FAILED"),
    }
}

async fn client(world: Arc<World>, base: String, here: String) {
    let http = Client::builder().no_proxy().build().unwrap();
    while !world.stop.load(Relaxed) {
        let kind = kind();
        let id = format!("soak-{:016x}", fastrand::u64(..));
        let body = json!({
            "image_url": format!("http://{here}/{}/{}.png", kind.path, fastrand::u32(0..SPRITES)),
            "callback_url": format!("http://{here}/callback"),
            "job_id": id,
            "parameters": {
                "detail_factor": f64::from(fastrand::u32(1..50)) / 1000.0,
                "internal_vertex_density": fastrand::u32(0..4),
            },
        });
        let began = Instant::now();
        let posted = http
            .post(format!("{base}/api/v1/mesh/generate"))
            .body(body.to_string())
            .send()
            .await;
        match posted.map(|answer| answer.status()) {
            Ok(StatusCode::ACCEPTED) => {}
            Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                world.turned_away.fetch_add(1, Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            Ok(status) => {
                world
                    .wrong
                    .lock()
                    .unwrap()
                    .push(format!("{id}: HTTP {status}"));
                continue;
            }
            Err(_) => {
                world.unreachable.fetch_add(1, Relaxed);
                continue;
            }
        }
        world.accepted.fetch_add(1, Relaxed);
        world.told.lock().unwrap().entry(id.clone()).or_insert(0);
        follow(&world, &http, &base, &id, &kind, began).await;
    }
}

/// Waits for the end of a job, and checks it.
async fn follow(world: &World, http: &Client, base: &str, id: &str, kind: &Kind, began: Instant) {
    let url = format!("{base}/api/v1/mesh/{id}/status");
    let mut pause = Duration::from_millis(2);
    let status: Value = loop {
        let answer = match http.get(&url).send().await {
            Ok(answer) => json_of(answer).await,
            Err(_) => Value::Null,
        };
        if matches!(answer["status"].as_str(), Some("completed" | "failed")) {
            break answer;
        }
        if began.elapsed() > Duration::from_secs(600) {
            world
                .wrong
                .lock()
                .unwrap()
                .push(format!("{id}: lost: {answer}"));
            return;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    };
    let code = status["error"]["code"].as_str();
    let right = match kind.code {
        None => status["status"] == "completed" && has_mesh(http, &status).await,
        Some("") => code.is_some(),
        Some(expected) => code == Some(expected),
    };
    if !right {
        world
            .wrong
            .lock()
            .unwrap()
            .push(format!("{id} ({}): {status}", kind.path));
    }
    if kind.code.is_none() {
        let took = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX);
        world.milliseconds.lock().unwrap().push(took);
    }
    *world.ended.lock().unwrap().entry(kind.path).or_default() += 1;
}

async fn json_of(answer: reqwest::Response) -> Value {
    let bytes = answer.bytes().await.unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

async fn has_mesh(http: &Client, status: &Value) -> bool {
    let Some(url) = status["result_url"].as_str() else {
        return false;
    };
    let Ok(answer) = http.get(url).send().await else {
        return false;
    };
    let mesh = json_of(answer).await;
    mesh["vertices"]
        .as_array()
        .is_some_and(|vertices| vertices.len() >= 3)
}

/// Waits until every end has been told.
async fn settle(world: &World) {
    let began = Instant::now();
    let untold = || {
        world
            .told
            .lock()
            .unwrap()
            .values()
            .filter(|told| **told == 0)
            .count()
    };
    while untold() > 0 && began.elapsed() < Duration::from_secs(300) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn finish(world: &World, child: &mut Child) {
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let exit = child.wait().unwrap();
    let told = world.told.lock().unwrap();
    let untold = told.values().filter(|told| **told == 0).count();
    let twice = told.values().filter(|told| **told > 1).count();
    let wrong = world.wrong.lock().unwrap();
    println!("\nended: {:?}", world.ended.lock().unwrap());
    println!(
        "told more than once: {twice}; callbacks refused on purpose: {}",
        world.refused_callbacks.load(Relaxed)
    );
    println!(
        "exit: {exit}; requests that found nobody: {}",
        world.unreachable.load(Relaxed)
    );
    for wrong in wrong.iter().take(20) {
        println!("WRONG {wrong}");
    }
    println!(
        "lost: {untold} ends untold, {} jobs that ended wrongly",
        wrong.len()
    );
    assert!(untold == 0 && wrong.is_empty() && exit.success());
}

/// One line of figures, of the minute that has passed.
async fn line(minute: u64, world: &World, pid: u32, directory: &std::path::Path, base: &str) {
    let mut times = std::mem::take(&mut *world.milliseconds.lock().unwrap());
    times.sort_unstable();
    let at = |share: f64| {
        times
            .get((times.len() as f64 * share) as usize)
            .copied()
            .unwrap_or(0)
    };
    let ended: u64 = world.ended.lock().unwrap().values().sum();
    let untold = world
        .told
        .lock()
        .unwrap()
        .values()
        .filter(|told| **told == 0)
        .count();
    let ready = reqwest::get(format!("{base}/health/ready")).await;
    println!(
        "{minute:>6}  {:>8}  {ended:>5}  {:>11}  {:>9}  {untold:>18}  {:>6}  {:>6}  {:>6}  {:>7}  {:>3}  {:>8}  {}",
        world.accepted.load(Relaxed),
        world.turned_away.load(Relaxed),
        world.callbacks.load(Relaxed),
        at(0.5),
        at(0.95),
        at(0.99),
        resident(pid) / 1024,
        std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
        size(directory) / 1024 / 1024,
        ready.map_or(0, |answer| answer.status().as_u16()),
    );
}

/// Resident memory in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

/// Bytes of all files in a folder.
fn size(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Serves images and takes callbacks; its `host:port`.
async fn neighbour(world: Arc<World>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let router = Router::new()
        .route("/callback", post(callback))
        .route("/{kind}/{name}", get(image))
        .with_state(world);
    tokio::spawn(async move { axum::serve(listener, router).await });
    here
}

async fn callback(State(world): State<Arc<World>>, body: Bytes) -> StatusCode {
    if fastrand::u64(..FLAKY) == 0 {
        world.refused_callbacks.fetch_add(1, Relaxed);
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    world.callbacks.fetch_add(1, Relaxed);
    let event: Value = serde_json::from_slice(&body).unwrap();
    if event["status"].is_string() {
        let id = event["job_id"].as_str().unwrap().to_owned();
        *world.told.lock().unwrap().entry(id).or_insert(0) += 1;
    }
    StatusCode::NO_CONTENT
}

static FILES: LazyLock<Vec<Bytes>> = LazyLock::new(|| (0..SPRITES).map(sprite).collect());
static CLEAR: LazyLock<Bytes> = LazyLock::new(|| png(64, |_, _| 0));

async fn image(Path((kind, name)): Path<(String, String)>) -> Response {
    let number: usize = name.trim_end_matches(".png").parse().unwrap_or(0);
    match kind.as_str() {
        "sprite" => FILES[number % FILES.len()].clone().into_response(),
        "clear" => CLEAR.clone().into_response(),
        "html" => "<html>no image</html>".into_response(),
        "bomb" => bomb().into_response(),
        "fails" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "lies" => {
            let body = Body::from_stream(futures_util::stream::iter([
                Ok::<_, std::io::Error>(FILES[0].slice(..100)),
                Err(std::io::Error::other("cut off")),
            ]));
            ([("content-length", "100000")], body).into_response()
        }
        "drips" => Body::from_stream(futures_util::stream::unfold(0, |at| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let byte = FILES[0].slice(at..=at);
            Some((Ok::<_, std::io::Error>(byte), at + 1))
        }))
        .into_response(),
        "hangs" => std::future::pending().await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A star, each of another size and form.
fn sprite(number: u32) -> Bytes {
    let size = 48 + number * 16;
    let (middle, rays) = (f64::from(size) / 2.0, f64::from(3 + number % 9));
    png(size, |x, y| {
        let (dx, dy) = (f64::from(x) - middle, f64::from(y) - middle);
        let reach = middle * (0.65 + 0.3 * (dy.atan2(dx) * rays).cos());
        if dx.hypot(dy) < reach { 255 } else { 0 }
    })
}

fn png(size: u32, alpha: impl Fn(u32, u32) -> u8) -> Bytes {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size, size);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    let pixels: Vec<u8> = (0..size)
        .flat_map(|y| (0..size).map(move |x| (x, y)))
        .flat_map(|(x, y)| [200, 100, 50, alpha(x, y)])
        .collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file.into()
}

/// The header of an image of 30,000 × 30,000 pixels, and hardly anything else.
fn bomb() -> Bytes {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 30_000, 30_000);
    encoder.set_color(png::ColorType::Rgba);
    let writer = encoder.write_header().unwrap();
    drop(writer);
    file.into()
}
