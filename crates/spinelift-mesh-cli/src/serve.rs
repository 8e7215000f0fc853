//! `spinelift-mesh serve`: the service, until it is told to stop.

use crate::cli::ServeArgs;
use crate::failure::{Failure, Problem};
use crate::log;
use crate::output::write_stdout;
use serde_json::json;
use spinelift_mesh_service::engine::sqlite::OpenError;
use spinelift_mesh_service::settings::{LogFormat, warn_of_misspelt};
use spinelift_mesh_service::{OpenStorageError, Service, Settings, SettingsError, StartError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long threads that do not listen may delay the exit.
const EXIT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut settings = Settings::from_env().map_err(wrong_settings)?;
    settings.host = args.host.unwrap_or(settings.host);
    settings.port = args.port.unwrap_or(settings.port);
    let log_format = settings.log_format;
    let log = log::start_with_traces(&settings)?;
    warn_of_misspelt();
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let stop = stop_signal();
        let service = Service::start(settings).await.map_err(not_started)?;
        let base = base_url(service.local_addr());
        // That nobody reads it is no reason not to serve.
        let _ = write_stdout(greeting(&base, log_format).as_bytes());
        service.serve(stop).await.map_err(|error| {
            Problem::new("SERVE_FAILED", error.to_string(), "Start it again.").into()
        })
    });
    // Looking a name up cannot be interrupted, and may take longer than anybody waits for an exit.
    runtime.shutdown_timeout(EXIT);
    log.finish();
    served
}

/// The line that says where the service is. Standard output often goes where the log goes, so it has
/// the log's form there.
fn greeting(base: &str, format: LogFormat) -> String {
    let text = format!("listening on {base} (try: curl {base}/health; Ctrl-C stops)");
    match format {
        LogFormat::Text => format!("{text}\n"),
        LogFormat::Json => format!(
            "{}\n",
            json!({ "level": "INFO", "fields": { "message": text } })
        ),
    }
}

pub(crate) fn wrong_settings(error: SettingsError) -> Problem {
    Problem::new(
        "WRONG_SETTING",
        error.to_string(),
        match &error {
            SettingsError::File(_) => {
                "Change the file .env of this folder, remove it, or start in another folder."
            }
            SettingsError::Wrong(_) => {
                "Change the settings named above, in the environment or in the file .env."
            }
        },
    )
}

pub(crate) fn runtime() -> Result<Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Problem::new(
                "START_FAILED",
                format!("cannot start the service's threads: {error}"),
                "Raise the limit on processes (ulimit -u), or stop other programs.",
            )
        })
}

/// Where a client on this machine reaches the service.
pub(crate) fn base_url(address: SocketAddr) -> String {
    match address.ip() {
        ip if ip.is_unspecified() => format!("http://localhost:{}", address.port()),
        _ => format!("http://{address}"),
    }
}

pub(crate) fn not_started(error: StartError) -> Problem {
    let (message, advice) = match &error {
        StartError::Listen { address, source } => {
            let port = address.port();
            match source.kind() {
                io::ErrorKind::AddrInUse => (
                    format!("port {port} is taken: another program listens on {address}"),
                    format!(
                        "Stop that program, or choose another port: --port {} (or --port 0 for \
                         any that is free).",
                        port.checked_add(1).unwrap_or(8000)
                    ),
                ),
                io::ErrorKind::AddrNotAvailable => (
                    format!("this machine does not have the address {}", address.ip()),
                    "Set HOST (or --host) to an address of this machine, to 127.0.0.1, or to \
                     0.0.0.0 for all."
                        .to_owned(),
                ),
                io::ErrorKind::PermissionDenied => (
                    format!("no permission to listen on port {port}"),
                    "Ports below 1024 are for root; choose a higher one: --port 8000.".to_owned(),
                ),
                _ => (error.to_string(), "Change HOST or PORT.".to_owned()),
            }
        }
        StartError::Storage(
            OpenStorageError::Directory { .. } | OpenStorageError::Store { .. },
        ) => (
            error.to_string(),
            "Set STORAGE_PATH to a folder that this user may write to.".to_owned(),
        ),
        StartError::Jobs(OpenError::Io { .. } | OpenError::Database { .. }) => (
            error.to_string(),
            "Start in a folder that this user may write to, or set DATABASE_PATH and STORAGE_PATH \
             to places in one; its disk needs space."
                .to_owned(),
        ),
        StartError::Jobs(_) => (
            error.to_string(),
            "The setting DATABASE_PATH names the file of the jobs.".to_owned(),
        ),
        _ => (
            error.to_string(),
            "Change the setting, and start again.".to_owned(),
        ),
    };
    Problem::new("START_FAILED", message, advice)
}

/// Completes with the first Ctrl-C or SIGTERM. The second ends the process at once.
///
/// Signals are noted from the call on, not only when it is awaited. To be called in a runtime.
pub(crate) fn stop_signal() -> impl Future<Output = ()> + Send + 'static {
    let mut signals = Signals::listen();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let exit_code = signals.next().await;
        let _ = stop.send(());
        signals.next().await;
        std::process::exit(exit_code);
    });
    async {
        let _ = stopped.await;
    }
}

/// Both signals, from the first moment to the last: one that comes while another is dealt with is
/// not lost.
#[cfg(unix)]
struct Signals(Option<[tokio::signal::unix::Signal; 2]>);

#[cfg(unix)]
impl Signals {
    fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        match [SignalKind::interrupt(), SignalKind::terminate()].map(signal) {
            [Ok(interrupt), Ok(terminate)] => Self(Some([interrupt, terminate])),
            // Without handlers a signal ends the process as usual.
            _ => Self(None),
        }
    }

    async fn next(&mut self) -> i32 {
        let Some([interrupt, terminate]) = &mut self.0 else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Self {
        Self
    }

    async fn next(&mut self) -> i32 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 130,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_another_one() {
        let problem = not_started(StartError::Listen {
            address: ([127, 0, 0, 1], 8000).into(),
            source: io::ErrorKind::AddrInUse.into(),
        });
        assert!(
            problem.message.starts_with("port 8000 is taken"),
            "{}",
            problem.message
        );
        assert!(problem.advice.contains("--port 8001"), "{}", problem.advice);
    }

    #[test]
    fn the_greeting_has_the_form_of_the_log() {
        let base = "http://127.0.0.1:8000";
        let text = greeting(base, LogFormat::Text);
        assert!(text.starts_with("listening on http://127.0.0.1:8000 (try: "));
        let line = greeting(base, LogFormat::Json);
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["fields"]["message"], text.trim_end());
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn clients_do_not_connect_to_all_addresses() {
        assert_eq!(base_url(([0, 0, 0, 0], 80).into()), "http://localhost:80");
        assert_eq!(base_url(([127, 0, 0, 1], 80).into()), "http://127.0.0.1:80");
    }
}
