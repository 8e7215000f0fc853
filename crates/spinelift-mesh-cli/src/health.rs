//! `spinelift-mesh health`: whether a service is well, for health checks where there is no curl.

use crate::cli::HealthArgs;
use crate::client::{self, Failed};
use crate::failure::{Failure, Problem};
use crate::output::write_stdout;
use crate::serve::wrong_settings;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use spinelift_mesh_service::Settings;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// More than the service ever says of its health; whatever answers with more is something else.
const MAX_ANSWER: usize = 64 << 10;

pub(crate) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let base = match &args.url {
        Some(url) => checked(url)?,
        None => base_of_this_machine(&Settings::from_env().map_err(wrong_settings)?)?,
    };
    let question = match args.live {
        true => Question::Live,
        false => Question::Ready,
    };
    let url = format!("{base}{}", question.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(format!("cannot start: {error}")))?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(args.timeout, client::ask(&url, MAX_ANSWER)).await
    });
    // Looking a name up cannot be interrupted.
    runtime.shutdown_background();
    let answer = answer
        .unwrap_or_else(|_| Err(format!("no answer within {:?}", args.timeout).into()))
        .map_err(|error| failed(format!("{url}: {}", reason(&error))))?;
    judge(question, &url, answer)?;
    write_stdout(format!("{}\n", question.yes()).as_bytes())
}

/// What is asked of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Live,
    Ready,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Question::Live => "/health/live",
            Question::Ready => "/health/ready",
        }
    }

    fn yes(self) -> &'static str {
        match self {
            Question::Live => "alive",
            Question::Ready => "ready",
        }
    }
}

/// What the service says of its checks.
#[derive(Debug, Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    checks: BTreeMap<String, Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    ok: bool,
    #[serde(default)]
    reason: String,
}

fn judge(
    question: Question,
    url: &str,
    (status, body): (StatusCode, Bytes),
) -> Result<(), Problem> {
    // Any server may answer with 200: only the service says the word.
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
        failed(format!(
            "{url} answers with {status}, but not as this service does"
        ))
    })?;
    if status == StatusCode::OK && answer.status == question.yes() {
        return Ok(());
    }
    let reasons: Vec<String> = (answer.checks.iter().filter(|(_, check)| !check.ok))
        .map(|(name, check)| format!("{name}: {}", check.reason))
        .collect();
    let message = match reasons.is_empty() {
        true => format!("{url} answers with {status}"),
        false => reasons.join("; "),
    };
    Err(Problem::new(
        "NOT_READY",
        message,
        "The log of the service says more.",
    ))
}

/// Where a client on this machine reaches the service that these settings are of.
fn base_of_this_machine(settings: &Settings) -> Result<String, Failure> {
    if settings.port == 0 {
        return Err(Failure::Usage(
            "PORT is 0, which is any port: name the URL of the service".into(),
        ));
    }
    let host = match settings.host {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    Ok(format!("http://{}", SocketAddr::new(host, settings.port)))
}

/// The URL without what is appended to it.
fn checked(url: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "{url:?} is not where the service listens: it must be like http://127.0.0.1:8000"
        ))
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let is_bare = uri.path() == "/" && uri.query().is_none();
    // TLS is a proxy's matter, and what a proxy says is not what the service says.
    if uri.scheme_str() != Some("http") || !is_bare || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(format!("http://{authority}"))
}

fn failed(message: String) -> Problem {
    Problem::new(
        "NO_ANSWER",
        message,
        "Start the service, or name the address it listens on: spinelift-mesh health \
         http://127.0.0.1:8000",
    )
}

/// The error and what caused it.
fn reason(error: &Failed) -> String {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(variables: &[(&str, &str)]) -> Result<String, Failure> {
        let settings = Settings::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        base_of_this_machine(&settings.expect("valid settings"))
    }

    #[test]
    fn the_settings_say_where_the_service_is() {
        for (variables, expected) in [
            (vec![], "http://127.0.0.1:8000"),
            (
                vec![("HOST", "0.0.0.0"), ("PORT", "80")],
                "http://127.0.0.1:80",
            ),
            (vec![("HOST", "::")], "http://[::1]:8000"),
            (vec![("HOST", "10.1.2.3")], "http://10.1.2.3:8000"),
        ] {
            assert_eq!(base(&variables).expect("a port"), expected);
        }
        assert!(matches!(base(&[("PORT", "0")]), Err(Failure::Usage(_))));
    }

    #[test]
    fn only_a_place_is_taken_for_a_url() {
        assert_eq!(
            checked("http://mesh:8000").expect("a place"),
            "http://mesh:8000"
        );
        assert_eq!(checked("http://[::1]/").expect("a place"), "http://[::1]");
        for url in [
            "https://mesh",
            "mesh:8000",
            "http://mesh/health",
            "http://mesh?a",
            "http://a@mesh",
            "",
        ] {
            assert!(matches!(checked(url), Err(Failure::Usage(_))), "{url}");
        }
    }

    #[test]
    fn only_the_service_itself_is_believed() {
        let judged = |status, body: &'static str| {
            let answer = (status, Bytes::from_static(body.as_bytes()));
            judge(Question::Ready, "http://mesh", answer).map_err(|problem| problem.message)
        };
        assert_eq!(judged(StatusCode::OK, r#"{"status":"ready"}"#), Ok(()));
        for (status, body) in [
            (StatusCode::OK, "<html>"),
            (StatusCode::OK, r#"{"status":"alive"}"#),
            (StatusCode::NOT_FOUND, r#"{"status":"ready"}"#),
        ] {
            let message = judged(status, body).expect_err("not the service");
            assert!(message.contains(status.as_str()), "{message}");
        }
        let not_ready = r#"{"status":"not_ready","checks":{
            "jobs":{"ok":true},"queue":{"ok":false,"reason":"full"},
            "storage":{"ok":false,"reason":"gone"}}}"#;
        assert_eq!(
            judged(StatusCode::SERVICE_UNAVAILABLE, not_ready),
            Err("queue: full; storage: gone".to_owned())
        );
    }
}
