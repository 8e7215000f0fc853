//! Traces, as a collector receives them.
#![cfg(all(unix, feature = "otlp"))]

use crate::command::spinelift_mesh;
use crate::interrupt::send;
use crate::server::{ImageServer, Server, agent};
use crate::sprites::star;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tempfile::tempdir;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Receives spans, and callbacks.
struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Received {
    exports: Mutex<Vec<ExportTraceServiceRequest>>,
    callbacks: Mutex<Vec<Option<String>>>,
}

impl Collector {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let received = Arc::new(Received::default());
        let router = Router::new()
            .route("/v1/traces", post(export))
            .route("/callback", post(callback))
            .with_state(Arc::clone(&received));
        let (sender, address) = mpsc::channel();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address: address.recv().unwrap(),
            received,
            _runtime: runtime,
        }
    }

    fn spans(&self) -> Vec<Span> {
        let exports = self.received.exports.lock().unwrap();
        let resources = exports.iter().flat_map(|export| &export.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

async fn export(
    State(received): State<Arc<Received>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let export = ExportTraceServiceRequest::decode(body).unwrap();
    received.exports.lock().unwrap().push(export);
    StatusCode::OK
}

async fn callback(State(received): State<Arc<Received>>, headers: HeaderMap) -> StatusCode {
    let parent = headers.get("traceparent");
    let parent = parent.map(|value| value.to_str().unwrap().to_owned());
    received.callbacks.lock().unwrap().push(parent);
    StatusCode::NO_CONTENT
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Starts a service that may reach two servers, and exports traces.
fn start(folder: &Path, images: SocketAddr, callbacks: SocketAddr, collector: &str) -> Server {
    Server::spawn(
        spinelift_mesh()
            .current_dir(folder)
            .env("PORT", "0")
            .env("ALLOWED_PRIVATE_HOSTS", format!("{images},{callbacks}"))
            .env("SERVICE_NAME", "meshes-of-tests")
            // What is exported does not depend on what is logged.
            .env("LOG_LEVEL", "error")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
    )
}

#[test]
fn a_trace_leads_from_the_caller_to_the_job_and_on_to_the_receiver_of_its_callbacks() {
    let folder = tempdir().unwrap();
    let images = ImageServer::start(star(100, 6));
    images.allow(1);
    let collector = Collector::start();
    let endpoint = format!("http://{}", collector.address);
    let mut server = start(folder.path(), images.address, collector.address, &endpoint);
    agent()
        .get(format!("{}/health/ready", server.base))
        .call()
        .unwrap();
    agent()
        .post(format!("{}/api/v1/mesh/generate", server.base))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .send_json(json!({
            "job_id": "one",
            "image_url": images.url("star.png?secret=1"),
            "callback_url": format!("{endpoint}/callback"),
        }))
        .unwrap();
    server.wait_for(|server| server.is_completed("one"));
    send("-TERM", &server.child);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));

    let exports = collector.received.exports.lock().unwrap().clone();
    let resource = exports[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(
        text(&resource.attributes, "service.name"),
        Some("meshes-of-tests")
    );
    let spans = collector.spans();
    let named = |name: &str| -> Vec<&Span> {
        let own = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
        own.filter(|span| span.name == name).collect()
    };
    let [request] = named("request")[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(
        text(&request.attributes, "path"),
        Some("/api/v1/mesh/generate")
    );
    let [job] = named("job")[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(text(&job.attributes, "job_id"), Some("one"));
    assert_eq!(job.parent_span_id, request.span_id);
    for stage in ["download", "compute", "store"] {
        let [stage] = named(stage)[..] else {
            panic!("{stage}: {spans:#?}")
        };
        assert_eq!(stage.parent_span_id, job.span_id);
        assert!(stage.start_time_unix_nano >= job.start_time_unix_nano);
        assert!(stage.end_time_unix_nano <= job.end_time_unix_nano);
    }
    let callbacks = named("callback");
    let told = collector.received.callbacks.lock().unwrap().clone();
    assert!(
        !told.is_empty() && told.len() == callbacks.len(),
        "{told:?}"
    );
    for callback in &callbacks {
        assert_eq!(callback.parent_span_id, job.span_id);
        let parent = format!("00-{TRACE}-{}-01", hex(&callback.span_id));
        assert!(told.contains(&Some(parent)), "{told:?}");
    }
    let everything = format!("{exports:?}");
    assert!(!everything.contains("secret"), "URLs keep their secrets");
    assert!(!everything.contains("/health"), "probes are not traced");
}

#[test]
fn a_collector_that_hangs_holds_up_neither_jobs_nor_the_exit() {
    let folder = tempdir().unwrap();
    let images = ImageServer::start(star(100, 6));
    images.allow(1);
    // Connections are accepted by the system, and never answered.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = hangs.local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let mut server = start(folder.path(), images.address, address, &endpoint);
    server.post("one", &images.url("star.png"));
    server.wait_for(|server| server.is_completed("one"));
    let began = Instant::now();
    send("-TERM", &server.child);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "the exit took {took:?}");
}

#[test]
fn an_address_that_is_none_is_told_at_start() {
    let folder = tempdir().unwrap();
    let output = spinelift_mesh()
        .current_dir(folder.path())
        .env("PORT", "0")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
}
