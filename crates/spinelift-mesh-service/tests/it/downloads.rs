//! Origins that are slow, that lie, and that send something else; and those that are asked
//! whether an image has changed.

use crate::harness::raw_origin::{RawOrigin, Step, answer, whole};
use crate::harness::{NameAnswer, NameServer, TestService, disc, settings};
use hickory_resolver::proto::rr::RecordType;
use serde_json::{Value, json};
use spinelift_mesh_service::{AllowedHost, Service, Settings};
use std::time::{Duration, Instant};

/// Longer than a test may take: a bound that is not meant to be reached.
const NEVER: Duration = Duration::from_secs(600);

async fn outcome(service: &TestService, url: &str) -> Value {
    let answer = service.generate(&json!({ "image_url": url })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    service.ended(answer.body["job_id"].as_str().unwrap()).await
}

fn patient(settings: &mut Settings) {
    settings.dns_timeout = NEVER;
    settings.image_connect_timeout = NEVER;
    settings.image_first_byte_timeout = NEVER;
    settings.image_timeout = NEVER;
    settings.image_total_timeout = NEVER;
}

/// A service whose bounds are never reached, but for those that `change` sets.
async fn service(change: impl FnOnce(&mut Settings)) -> TestService {
    TestService::start_with(|settings| {
        patient(settings);
        change(settings);
    })
    .await
}

fn assert_late(ended: &Value, stage: &str, setting: &str, tries: usize) {
    let (details, message) = (&ended["error"]["details"], &ended["error"]["message"]);
    assert_eq!(details["reason"], "timeout", "{ended}");
    assert_eq!(details["stage"], stage, "{ended}");
    assert_eq!(details["setting"], setting, "{ended}");
    assert_eq!(details["tries"], tries, "{ended}");
    assert!(message.as_str().unwrap().contains(setting), "{message}");
}

#[tokio::test]
async fn each_stage_has_its_bound_and_the_error_names_it() {
    let short = Duration::from_millis(200);
    let two = 2.try_into().unwrap();
    let origin = RawOrigin::start(|request, _| match request.path.as_str() {
        "/hangs" => vec![Step::Hang],
        "/drips-head" => vec![
            Step::Send(b"HTTP/1.1 200 OK\r\nx: ".into()),
            Step::Drip(b'x'),
        ],
        _ => vec![Step::Send(answer(200, "", &disc(32)[..20])), Step::Drip(0)],
    })
    .await;
    let names = NameServer::start(|_, _, _| NameAnswer::Silence).await;
    // Accepts connections, and never says a word of TLS.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();

    let dns = service(|s| {
        s.dns_servers = vec![names.address];
        s.dns_timeout = short;
        s.image_tries = two;
    })
    .await;
    let ended = outcome(&dns, "http://silent.test/a.png").await;
    assert_late(&ended, "dns", "DNS_TIMEOUT", 2);

    let connect = service(|s| (s.image_connect_timeout, s.image_tries) = (short, two)).await;
    let url = format!("https://{}/a.png", silent.local_addr().unwrap());
    let ended = outcome(&connect, &url).await;
    assert_late(&ended, "connect", "IMAGE_CONNECT_TIMEOUT", 2);

    let head = service(|s| (s.image_first_byte_timeout, s.image_tries) = (short, two)).await;
    for path in ["/hangs", "/drips-head"] {
        let ended = outcome(&head, &origin.url(path)).await;
        assert_late(&ended, "first_byte", "IMAGE_FIRST_BYTE_TIMEOUT", 2);
        assert_eq!(origin.received(path).len(), 2);
    }

    // Not tried again: it would drip again.
    let body = service(|s| (s.image_timeout, s.image_tries) = (short, two)).await;
    let ended = outcome(&body, &origin.url("/drips")).await;
    assert_late(&ended, "download", "IMAGE_TIMEOUT", 1);
    assert_eq!(origin.received("/drips").len(), 1);

    let all = service(|s| (s.image_total_timeout, s.image_tries) = (short, two)).await;
    let ended = outcome(&all, &origin.url("/drips")).await;
    assert_late(&ended, "all_tries", "IMAGE_TOTAL_TIMEOUT", 1);
}

#[tokio::test]
async fn all_tries_together_are_bounded() {
    let origin = RawOrigin::start(|_, _| whole(500, "", b"")).await;
    let service = service(|s| {
        s.image_total_timeout = Duration::from_secs(3);
        s.image_tries = 1000.try_into().unwrap();
    })
    .await;
    let ended = outcome(&service, &origin.url("/a.png")).await;
    assert_eq!(ended["error"]["details"]["status"], 500);
    let tries = ended["error"]["details"]["tries"].as_u64().unwrap();
    assert!((2..20).contains(&tries), "{tries}");
    assert_eq!(origin.received("/a.png").len() as u64, tries);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_asked_for_again() {
    let names = NameServer::start(|name, _, _| match name {
        "failing.test" => NameAnswer::Failure,
        _ => NameAnswer::NoSuchName,
    })
    .await;
    let service = service(|s| s.dns_servers = vec![names.address]).await;
    for (name, tries, expected) in [
        ("missing.test", 1, "there is no host named missing.test"),
        (
            "failing.test",
            3,
            "the name failing.test could not be resolved",
        ),
    ] {
        let ended = outcome(&service, &format!("http://{name}/a.png")).await;
        let error = &ended["error"];
        assert_eq!(error["details"]["tries"], tries, "{ended}");
        assert_eq!(error["details"]["stage"], "dns");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(names.asked("missing.test", RecordType::A), 1);
}

#[tokio::test]
async fn names_that_nobody_answers_for_hold_up_no_others() {
    let origin = RawOrigin::start(|_, _| whole(200, "", &disc(32))).await;
    let names = NameServer::start(|name, _, _| match name {
        "open.test" => NameAnswer::Addresses(vec!["127.0.0.1".parse().unwrap()]),
        _ => NameAnswer::Silence,
    })
    .await;
    let service = service(|s| {
        s.dns_servers = vec![names.address];
        s.allowed_private_hosts = vec![AllowedHost::parse("open.test").unwrap()];
        // Three quarters of them are for one client.
        s.max_concurrent_downloads = 107.try_into().unwrap();
    })
    .await;
    for number in 0..79 {
        let url = format!("http://silent-{number}.test/a.png");
        service.accept(&format!("waits-{number}"), &url).await;
        service.running(&format!("waits-{number}")).await;
    }
    let url = format!("http://open.test:{}/a.png", origin.address.port());
    assert_eq!(outcome(&service, &url).await["status"], "completed");
    assert_eq!(service.status("waits-0").await.body["status"], "processing");
}

#[tokio::test]
async fn what_is_no_image_is_not_loaded_to_its_end() {
    // A gigabyte each, of which only the beginning ever comes.
    let origin = RawOrigin::start(|request, _| {
        let beginning: &[u8] = match request.path.as_str() {
            "/html" => b"<!DOCTYPE html><html><head><title>404</title>",
            "/gif" => b"GIF89a",
            _ => b"PK\x03\x04",
        };
        let mut beginning = beginning.to_vec();
        beginning.resize(100, b' ');
        let head = "content-type: image/png\r\ncontent-length: 1000000000\r\n";
        vec![Step::Send(answer(200, head, &beginning)), Step::Hang]
    })
    .await;
    let service = service(|_| {}).await;
    for (path, found) in [("/html", "HTML"), ("/gif", "a GIF"), ("/zip", "ZIP")] {
        let ended = outcome(&service, &origin.url(path)).await;
        let error = &ended["error"];
        assert_eq!(error["code"], "IMAGE_LOAD_FAILED");
        assert_eq!(error["details"]["reason"], "unknown_format", "{ended}");
        assert_eq!(error["details"]["url"], origin.url(path));
        let message = error["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains(&found.to_lowercase()), "{message}");
        assert_eq!(origin.received(path).len(), 1);
    }
}

#[tokio::test]
async fn compressed_answers_are_refused() {
    let origin = RawOrigin::start(|request, _| {
        let encoding = request.path.trim_start_matches('/').to_owned();
        whole(200, &format!("content-encoding: {encoding}\r\n"), &disc(32))
    })
    .await;
    let service = service(|_| {}).await;
    for encoding in ["gzip", "br", "deflate", "identity,gzip"] {
        let path = format!("/{encoding}");
        let ended = outcome(&service, &origin.url(&path)).await;
        let details = &ended["error"]["details"];
        assert_eq!(details["reason"], "content_encoding", "{ended}");
        assert_eq!(details["content_encoding"], encoding);
        let received = origin.received(&path);
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].header("accept-encoding"), Some("identity"));
    }
    let ended = outcome(&service, &origin.url("/Identity")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
}

#[tokio::test]
async fn a_body_that_is_too_short_is_told_with_both_lengths() {
    let image = disc(32);
    let length = image.len();
    let half = image[..100].to_vec();
    let origin = RawOrigin::start(move |_, before| match before {
        0 => {
            let head = format!("content-length: {length}\r\n");
            vec![Step::Send(answer(200, &head, &half)), Step::Close]
        }
        _ => whole(200, "", &image),
    })
    .await;
    let impatient = service(|s| s.image_tries = 1.try_into().unwrap()).await;
    let ended = outcome(&impatient, &origin.url("/a.png")).await;
    let details = &ended["error"]["details"];
    assert_eq!(details["reason"], "wrong_length", "{ended}");
    assert_eq!(
        (&details["announced"], &details["received"]),
        (&json!(length), &json!(100))
    );
    // As of a broken connection, another try may help.
    let service = service(|_| {}).await;
    let ended = outcome(&service, &origin.url("/b.png")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(origin.received("/b.png").len(), 2);
}

/// By the rules of HTTP what follows the announced length is no part of the body. It must not
/// become a part of another answer either.
#[tokio::test]
async fn what_follows_the_announced_length_is_never_read() {
    let image = disc(32);
    let origin = RawOrigin::start(move |request, _| match request.path.as_str() {
        "/long" => {
            let head = format!("content-length: {}\r\n", image.len());
            let mut bytes = answer(200, &head, &image);
            bytes.extend(answer(200, "content-length: 5\r\n", b"wrong"));
            vec![Step::Send(bytes)]
        }
        "/cut" => {
            let mut bytes = answer(200, "content-length: 100\r\n", &image);
            bytes.extend(answer(404, "content-length: 0\r\n", b""));
            vec![Step::Send(bytes)]
        }
        _ => whole(200, "", &image),
    })
    .await;
    let service = service(|s| s.image_tries = 1.try_into().unwrap()).await;
    assert_eq!(
        outcome(&service, &origin.url("/long")).await["status"],
        "completed"
    );
    assert_eq!(
        outcome(&service, &origin.url("/after-long")).await["status"],
        "completed"
    );
    let ended = outcome(&service, &origin.url("/cut")).await;
    assert_eq!(ended["error"]["details"]["reason"], "truncated", "{ended}");
    assert_eq!(
        outcome(&service, &origin.url("/after-cut")).await["status"],
        "completed"
    );
    let connection = |path| origin.received(path)[0].connection;
    assert_ne!(connection("/long"), connection("/after-long"));
    assert_ne!(connection("/cut"), connection("/after-cut"));
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    let origin = RawOrigin::start(|request, _| {
        let head = match request.path.as_str() {
            "/negative" => "content-length: -5\r\n",
            "/garbage" => "content-length: many\r\n",
            "/two" => "content-length: 5\r\ncontent-length: 6\r\n",
            _ => {
                return vec![
                    Step::Send(b"220 mail.test ESMTP\r\n\r\n".to_vec()),
                    Step::Hang,
                ];
            }
        };
        vec![Step::Send(answer(200, head, &disc(32))), Step::Hang]
    })
    .await;
    let service = service(|_| {}).await;
    for path in ["/negative", "/garbage", "/two", "/smtp"] {
        let ended = outcome(&service, &origin.url(path)).await;
        let details = &ended["error"]["details"];
        assert_eq!(details["reason"], "malformed_answer", "{ended}");
        assert_eq!(origin.received(path).len(), 1);
    }
}

#[tokio::test]
async fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let origin = RawOrigin::start(|request, before| match (request.path.as_str(), before) {
        ("/soon", 0) => whole(429, "retry-after: 1\r\n", b""),
        ("/late", _) => whole(503, "retry-after: 3600\r\n", b""),
        _ => whole(200, "", &disc(32)),
    })
    .await;
    let service = service(|_| {}).await;
    let began = Instant::now();
    let ended = outcome(&service, &origin.url("/soon")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert!(began.elapsed() >= Duration::from_secs(1));
    // So long that no job waits for it.
    let ended = outcome(&service, &origin.url("/late")).await;
    let details = &ended["error"]["details"];
    assert_eq!(
        (&details["status"], &details["tries"]),
        (&json!(503), &json!(1))
    );
    assert_eq!(details["retry_after_seconds"], 3600);
    let message = ended["error"]["message"].as_str().unwrap();
    assert!(message.contains("3600 s"), "{message}");
    assert_eq!(origin.received("/late").len(), 1);
}

const DATE: &str = "sun, 06 nov 1994 08:49:37 gmt";
const LATER: &str = "sun, 06 nov 1994 08:49:38 gmt";

#[tokio::test]
async fn an_image_is_used_again_once_its_server_says_that_it_is_the_same() {
    let origin = RawOrigin::start(|request, before| {
        let headers = match request.path.as_str() {
            "/strong" => "etag: \"a\"\r\n".to_owned(),
            "/weak" => "etag: W/\"a\"\r\n".to_owned(),
            "/date" => format!("last-modified: {DATE}\r\ndate: {LATER}\r\n"),
            "/moved" => {
                return whole(
                    302,
                    "location: /strong\r\ncache-control: max-age=900\r\n",
                    b"",
                );
            }
            _ => "etag: \"a\"\r\ncache-control: max-age=900\r\n".to_owned(),
        };
        let asked = request.header("if-none-match").is_some()
            || request.header("if-modified-since").is_some();
        assert_eq!(asked, before > 0);
        match asked {
            true => vec![Step::Send(answer(304, &headers, b""))],
            false => whole(200, &headers, &disc(32)),
        }
    })
    .await;
    let service = service(|_| {}).await;
    for (path, header, value) in [
        ("/strong", "if-none-match", "\"a\""),
        ("/weak", "if-none-match", "w/\"a\""),
        ("/date", "if-modified-since", DATE),
        ("/fresh", "if-none-match", "\"a\""),
        ("/fresh?other", "if-none-match", "\"a\""),
    ] {
        for loads in 1..4 {
            let ended = outcome(&service, &origin.url(path)).await;
            assert_eq!(ended["status"], "completed", "{path}: {ended}");
            // However fresh it is said to be, its server is asked each time.
            let received = origin.received(path);
            assert_eq!(received.len(), loads, "{path}");
            let expected = (loads > 1).then_some(value);
            assert_eq!(received[loads - 1].header(header), expected, "{path}");
        }
    }
    // Behind a redirect too, which is asked for itself.
    let ended = outcome(&service, &origin.url("/moved")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(origin.received("/strong").len(), 4);
}

#[tokio::test]
async fn a_changed_image_takes_the_place_of_the_kept_one() {
    // The third time it has changed; the fourth time it is that one which is the same.
    let origin = RawOrigin::start(|request, before| match before {
        0 => whole(200, "etag: \"1\"\r\n", &disc(32)),
        1 | 3 => vec![Step::Send(answer(304, "", b""))],
        _ => {
            assert_eq!(request.header("if-none-match"), Some("\"1\""));
            whole(200, "etag: \"2\"\r\n", &disc(64))
        }
    })
    .await;
    let service = service(|_| {}).await;
    let mut widths = Vec::new();
    for number in 0..4 {
        let id = format!("j{number}");
        service.accept(&id, &origin.url("/a.png")).await;
        assert_eq!(service.ended(&id).await["status"], "completed");
        let result = service.result(&id).await.body;
        widths.push(result["metadata"]["width"].as_u64());
    }
    assert_eq!(widths, [32, 32, 64, 64].map(Some));
    let last = &origin.received("/a.png")[3];
    assert_eq!(last.header("if-none-match"), Some("\"2\""));
}

#[tokio::test]
async fn what_must_not_be_kept_is_not_kept() {
    let origin = RawOrigin::start(|request, before| match (request.path.as_str(), before) {
        ("/no-store", _) => {
            let headers = "etag: \"a\"\r\ncache-control: private, no-store\r\n";
            whole(200, headers, &disc(32))
        }
        ("/unasked", _) => vec![Step::Send(answer(304, "", b""))],
        // Says so only with the second answer.
        ("/later", 1) => vec![Step::Send(answer(304, "cache-control: no-store\r\n", b""))],
        _ => whole(200, "etag: \"a\"\r\n", &disc(32)),
    })
    .await;
    let keeps = service(|_| {}).await;
    let keeps_none = service(|s| s.source_cache_size = 0).await;
    for (service, path) in [(&keeps, "/no-store"), (&keeps_none, "/a.png")] {
        for _ in 0..2 {
            let ended = outcome(service, &origin.url(path)).await;
            assert_eq!(ended["status"], "completed", "{ended}");
        }
        let received = origin.received(path);
        assert_eq!(received.len(), 2);
        assert!(
            received.iter().all(|r| r.header("if-none-match").is_none()),
            "{path}"
        );
    }
    for _ in 0..3 {
        let ended = outcome(&keeps, &origin.url("/later")).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
    let asked = origin.received("/later");
    let asked: Vec<_> = asked
        .iter()
        .map(|r| r.header("if-none-match").is_some())
        .collect();
    assert_eq!(asked, [false, true, false]);
    let ended = outcome(&keeps, &origin.url("/unasked")).await;
    assert_eq!(ended["error"]["details"]["status"], 304, "{ended}");
}

/// Three mebibytes for files, in which two of these images never fit together, and twenty at a
/// time that want them.
#[tokio::test]
async fn images_wait_for_memory_and_all_complete() {
    let origin = RawOrigin::start(|request, _| {
        let mut image = disc(32);
        // What follows the end of a PNG is not looked at.
        image.resize(2 * 1024 * 1024, 0);
        match request.path.as_str() {
            "/announced" => whole(200, "", &image),
            _ => vec![
                Step::Send(answer(200, "connection: close\r\n", &image)),
                Step::Close,
            ],
        }
    })
    .await;
    let service = service(|s| {
        s.memory_budget = 12 * 1024 * 1024;
        s.max_image_bytes = (3 * 1024 * 1024).try_into().unwrap();
        s.max_concurrent_jobs = 20.try_into().unwrap();
    })
    .await;
    for number in 0..20 {
        let path = ["/announced", "/endless"][number % 2];
        service
            .accept(&format!("j{number}"), &origin.url(path))
            .await;
    }
    for number in 0..20 {
        let ended = service.ended(&format!("j{number}")).await;
        assert_eq!(ended["status"], "completed", "{ended}");
    }
}

#[tokio::test]
async fn a_budget_without_room_for_one_image_keeps_the_service_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    settings.memory_budget = 100 * 1024 * 1024;
    let Err(error) = Service::start(settings).await else {
        panic!("it started");
    };
    let text = error.to_string();
    for part in [
        "MEMORY_BUDGET=104857600",
        "MAX_IMAGE_BYTES=104857600",
        "raise",
        "lower",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_redirect_of_hundreds_of_kilobytes_is_refused_and_told_in_a_few_words() {
    let origin = RawOrigin::start(|request, _| {
        let length = match request.path.as_str() {
            "/long" => 300_000,
            // Three times as long once it is part of a URL.
            _ => 1500,
        };
        let headers = format!("location: /{}\r\n", "<".repeat(length));
        whole(302, &headers, b"")
    })
    .await;
    let service = service(|_| {}).await;
    for path in ["/long", "/encoded"] {
        let ended = outcome(&service, &origin.url(path)).await;
        assert_eq!(ended["error"]["code"], "IMAGE_LOAD_FAILED");
        assert_eq!(ended["error"]["details"]["reason"], "redirect_too_long");
        assert_eq!(ended["error"]["details"]["tries"], 1);
        assert!(ended.to_string().len() < 2000, "{ended}");
    }
    let list = service.get("/api/v1/mesh").await.body;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 2);
    assert!(list.to_string().len() < 4000);
}
