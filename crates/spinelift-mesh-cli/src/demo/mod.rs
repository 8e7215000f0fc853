//! `spinelift-mesh demo`: the service at work, with nothing else needed.

mod neighbour;
mod next_steps;
mod picture;
mod samples;

use crate::cli::DemoArgs;
use crate::client;
use crate::console::{count, duration};
use crate::failure::{Failure, Problem};
use crate::generate::read_image;
use crate::log;
use crate::output::{write_file, write_stdout};
use crate::serve::{base_url, not_started, runtime, stop_signal, wrong_settings};
use anstyle::{AnsiColor, Style};
use axum::body::Bytes;
use neighbour::{CallbackError, Neighbour};
use picture::Received;
use samples::SAMPLES;
use serde_json::json;
use spinelift_mesh_service::{AllowedHost, Service, Settings, StartError};
use std::fmt::Display;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

const STRONG: Style = Style::new().bold();
const DONE: Style = AnsiColor::Green.on_default().bold();
const FAINT: Style = Style::new().dimmed();

/// A demo that hangs is worse than one that fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(args: DemoArgs) -> Result<(), Failure> {
    log::start(&log_settings()?);
    let image = match &args.image {
        Some(path) => Image {
            name: "sprite".into(),
            bytes: read_image(path)?,
            path: path.clone(),
        },
        None => {
            let folder = args.dir.join("samples");
            samples::save_all(&folder)?;
            let sample = &SAMPLES[0];
            Image {
                name: sample.name.into(),
                bytes: sample.bytes.to_vec(),
                path: folder.join(sample.name),
            }
        }
    };
    runtime()?.block_on(demo(&args, image))
}

/// The demo speaks for itself: its log is for trouble only, unless RUST_LOG says otherwise.
fn log_settings() -> Result<Settings, Problem> {
    let settings = Settings::from_variables(|name| match name {
        "RUST_LOG" | "LOG_FORMAT" => std::env::var(name).ok(),
        "LOG_LEVEL" => Some("warn".to_owned()),
        _ => None,
    });
    settings.map_err(wrong_settings)
}

/// The image that is shown.
struct Image {
    /// In its URL.
    name: String,
    bytes: Vec<u8>,
    path: PathBuf,
}

async fn demo(args: &DemoArgs, image: Image) -> Result<(), Failure> {
    let mut stop = pin!(stop_signal());
    let mut neighbour = Neighbour::start(&image.name, Bytes::from(image.bytes.clone()))
        .await
        .map_err(|error| failed(format!("cannot listen on a port of 127.0.0.1: {error}")))?;
    let service = Service::start(settings(args, &neighbour))
        .await
        .map_err(|error| {
            let folder_in_use = matches!(error, StartError::Jobs(_));
            let mut problem = not_started(error);
            if folder_in_use {
                problem.advice =
                    "Stop the other demo, or give this one a folder and a port of its \
                              own: --dir another-demo --port 0"
                        .into();
            }
            problem
        })?;
    let base = base_url(service.local_addr());
    let (stop_service, service_stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(service.serve(async {
        let _ = service_stopped.await;
    }));
    say(format_args!(
        "{STRONG}spinelift-mesh{STRONG:#} serves {base}\n"
    ))?;

    let shown = tokio::select! {
        shown = show(&base, &mut neighbour, args, &image) => shown,
        () = stop.as_mut() => Err(Failure::Interrupted { exit_code: 130 }),
    };
    if shown.is_ok() && !args.once {
        say(next_steps::text(
            &base,
            &neighbour.image_url(),
            &image.path,
            args,
        ))?;
        stop.await;
        say("\nstopping")?;
    }
    // It waits for this, or for its sender to be gone.
    let _ = stop_service.send(());
    let _ = serving.await;
    shown
}

/// One job, from the request to the picture.
async fn show(
    base: &str,
    neighbour: &mut Neighbour,
    args: &DemoArgs,
    image: &Image,
) -> Result<(), Failure> {
    let job_id = unique_id("demo");
    let url = format!("{base}/api/v1/mesh/generate");
    let request = json!({
        "image_url": neighbour.image_url(),
        "parameters": { "detail_factor": 0.05, "internal_vertex_density": 1 },
        "callback_url": neighbour.callback_url(),
        "job_id": job_id,
    });
    say(format_args!("{STRONG}POST{STRONG:#} {url}"))?;
    say(format_args!("{FAINT}{request:#}{FAINT:#}\n"))?;
    let start = Instant::now();
    let answer = within(client::post(&url, &request)).await?;
    say(format_args!("{STRONG}answer{STRONG:#} {answer}\n"))?;

    say(format_args!(
        "{STRONG}callbacks{STRONG:#} at {}",
        neighbour.callback_url()
    ))?;
    let result_url = loop {
        let next = async {
            neighbour
                .callbacks
                .recv()
                .await
                .ok_or("the receiver ended".into())
        };
        let callback = within(next).await?;
        if callback.job_id != job_id {
            // Of an earlier demo that was stopped in the middle.
            continue;
        }
        say(format_args!(
            "{:>5} %  {}",
            callback.progress, callback.message
        ))?;
        match callback.status.as_deref() {
            Some("completed") => break callback.result_url.unwrap_or_default(),
            Some("failed") => {
                return Err(not_made(callback.error, image).into());
            }
            _ => {}
        }
    };
    let mesh = within(client::get(&result_url)).await?;
    let taken = start.elapsed();

    let received: Received = serde_json::from_slice(&mesh)
        .map_err(|error| failed(format!("the result is not a mesh: {error}")))?;
    let (vertices, triangles) = (received.vertex_count(), received.triangle_count());
    let (mesh_path, picture_path) = (args.dir.join("mesh.json"), args.dir.join("mesh.svg"));
    write_file(&mesh_path, &mesh)?;
    let picture = received
        .draw(&image.bytes)
        .map_err(|error| failed(format!("the result is no mesh: {error}")))?;
    write_file(&picture_path, picture.as_bytes())?;
    say(format_args!(
        "\n{DONE}done{DONE:#} {}, {} in {}, from the request to the result",
        count(vertices, "vertex", "vertices"),
        count(triangles, "triangle", "triangles"),
        duration(taken),
    ))?;
    say(format_args!("  mesh     {}", mesh_path.display()))?;
    say(format_args!(
        "  picture  {} (open it in a browser)",
        picture_path.display()
    ))
}

/// The defaults, with the demo's folder, and its own server as the only private host.
fn settings(args: &DemoArgs, neighbour: &Neighbour) -> Settings {
    Settings {
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: args.port,
        database_path: args.dir.join("jobs.db"),
        storage_path: args.dir.join("storage"),
        allowed_private_hosts: AllowedHost::parse(&neighbour.address.to_string())
            .into_iter()
            .collect(),
        drain_timeout: Duration::from_secs(3),
        // To show the steps, not how they are saved.
        result_cache_size: 0,
        ..Settings::default()
    }
}

async fn within<T>(
    step: impl Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

fn failed(message: String) -> Problem {
    Problem::new(
        "DEMO_FAILED",
        message,
        "RUST_LOG=info spinelift-mesh demo shows what the service does.",
    )
}

/// The service works, and the image is at fault.
fn not_made(error: Option<CallbackError>, image: &Image) -> Problem {
    let reason = error.map_or_else(
        || "no reason was given".to_owned(),
        |error| format!("{} ({})", error.message, error.code),
    );
    Problem::new(
        "DEMO_FAILED",
        format!("{}: the job failed: {reason}", image.path.display()),
        "Choose another image with --image, or leave it out to see a sample.",
    )
}

/// The database outlives the demo, so an id must be new every time.
fn unique_id(prefix: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{prefix}-{}", now.map_or(0, |time| time.as_millis()))
}

fn say(text: impl Display) -> Result<(), Failure> {
    let text = format!("{text}\n");
    // Colours only where they are wanted.
    match anstream::AutoStream::choice(&std::io::stdout()) {
        anstream::ColorChoice::Never => {
            write_stdout(anstream::adapter::strip_str(&text).to_string().as_bytes())
        }
        _ => write_stdout(text.as_bytes()),
    }
}
