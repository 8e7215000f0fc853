//! No URL makes the service connect to a private address, however it is written and whatever it
//! resolves or redirects to.
//!
//! All of this machine's addresses are private, so the victim listens on all of them, and has
//! never seen a connection when a test ends. That names lead to a public address first and to a
//! private one then is tested beside the code, which can let an address pass for public.

use crate::harness::raw_origin::{RawOrigin, Step, answer};
use crate::harness::{NameAnswer, NameServer, Origin, TestService};
use serde_json::{Value, json};
use spinelift_mesh_service::AllowedHost;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// Listens on every address of this machine, and counts who connects.
struct Victim {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Victim {
    async fn start() -> Self {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            // Dropped at once: a client sees a connection that breaks.
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn addresses(texts: &[&str]) -> NameAnswer {
    NameAnswer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// What the names of these tests resolve to. A public address is only ever told beside a private
/// one, so that none is connected to.
async fn names() -> NameServer {
    NameServer::start(|name, _, _| match name {
        "loopback.test" | "under_score.test" => addresses(&["127.0.0.2"]),
        "private.test" => addresses(&["10.0.0.1"]),
        "link-local.test" => addresses(&["169.254.1.1"]),
        "unspecified.test" => addresses(&["0.0.0.0"]),
        "both.test" => addresses(&["1.2.3.4", "127.0.0.2"]),
        "both-v6.test" => addresses(&["1.2.3.4", "::1"]),
        "v6.test" => addresses(&["::1"]),
        "mapped.test" => addresses(&["::ffff:127.0.0.1"]),
        "mapped-private.test" => addresses(&["::ffff:10.0.0.1"]),
        "compatible.test" => addresses(&["::7f00:1"]),
        "nat64.test" => addresses(&["64:ff9b::7f00:1"]),
        "6to4.test" => addresses(&["2002:7f00:1::1"]),
        "local.test" => addresses(&["fd00::2"]),
        "alias.test" => NameAnswer::Aliases(vec!["inner.test"], address("127.0.0.2")),
        "chain.test" => {
            NameAnswer::Aliases(vec!["a.test", "b.test", "c.test"], address("127.0.0.2"))
        }
        "to-localhost.test" => NameAnswer::Aliases(vec!["localhost"], address("127.0.0.1")),
        "metadata.test" | "metadata.google.internal" => addresses(&["169.254.169.254"]),
        "metadata-mapped.test" => addresses(&["::ffff:169.254.169.254"]),
        "metadata-6to4.test" => addresses(&["2002:a9fe:a9fe::1"]),
        "open.test" | "open-port.test" => addresses(&["127.0.0.1"]),
        _ => NameAnswer::NoSuchName,
    })
    .await
}

fn address(text: &str) -> Vec<IpAddr> {
    vec![text.parse().unwrap()]
}

/// A service that asks `names`, and may reach these hosts.
async fn service(names: &NameServer, allowed: &[&str]) -> TestService {
    let allowed: Vec<_> = allowed
        .iter()
        .map(|host| AllowedHost::parse(host).unwrap())
        .collect();
    TestService::start_with(|settings| {
        settings.allowed_private_hosts = allowed;
        settings.dns_servers = vec![names.address];
        settings.dns_timeout = Duration::from_secs(30);
        settings.image_tries = 1.try_into().unwrap();
    })
    .await
}

/// Who refuses a URL.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// The policy, as soon as the request comes; the setting is named.
    Policy,
    /// The reading of the request: it is no URL, or not one of http.
    Reader,
    /// The policy, once the name is resolved.
    Resolver,
    /// Nobody: its host is not the private one that it seems to be, and does not exist.
    Nobody,
}

/// Hosts, to be put before the victim's port.
const HOSTS: [(&str, By); 84] = [
    // As they are.
    ("127.0.0.1", By::Policy),
    ("127.0.0.2", By::Policy),
    ("127.255.255.254", By::Policy),
    ("0.0.0.0", By::Policy),
    ("0.1.2.3", By::Policy),
    ("10.0.0.1", By::Policy),
    ("100.64.0.1", By::Policy),
    ("169.254.1.1", By::Policy),
    ("172.16.0.1", By::Policy),
    ("172.31.255.255", By::Policy),
    ("192.0.0.1", By::Policy),
    ("192.0.2.2", By::Policy),
    ("192.88.99.1", By::Policy),
    ("192.168.1.1", By::Policy),
    ("198.18.0.1", By::Policy),
    ("198.51.100.1", By::Policy),
    ("203.0.113.1", By::Policy),
    ("224.0.0.1", By::Policy),
    ("240.0.0.1", By::Policy),
    ("255.255.255.255", By::Policy),
    // In other numbers.
    ("2130706433", By::Policy),
    ("0x7f000001", By::Policy),
    ("0x7F.0x0.0x0.0x1", By::Policy),
    ("017700000001", By::Policy),
    ("0177.0.0.1", By::Policy),
    ("0177.0.0.01", By::Policy),
    ("00000177.0.0.1", By::Policy),
    ("127.1", By::Policy),
    ("127.0.1", By::Policy),
    ("0x7f.1", By::Policy),
    ("0", By::Policy),
    ("0x", By::Policy),
    ("127.0.0.1.", By::Policy),
    ("127.1.", By::Policy),
    // Too large for an address: no other reading is tried.
    ("4294967297", By::Reader),
    ("127.0.0.257", By::Reader),
    ("256.0.0.1", By::Reader),
    ("127.0.0.1.1", By::Reader),
    ("0x7f.0.0.0x100", By::Reader),
    // In other characters.
    ("１２７.0.0.1", By::Policy),
    ("127。0。0。1", By::Policy),
    ("127．0．0．1", By::Policy),
    ("127｡0｡0｡1", By::Policy),
    ("①②⑦.⓪.⓪.①", By::Policy),
    ("ｌｏｃａｌｈｏｓｔ", By::Policy),
    ("127%2e0%2e0%2e1", By::Policy),
    ("%31%32%37.0.0.1", By::Policy),
    ("%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1", By::Policy),
    ("l%6fcalhost", By::Policy),
    ("127.0\t.0.\n1", By::Policy),
    ("127.0.0.1%00", By::Reader),
    ("127.0.0.1%20", By::Reader),
    ("127.0.0.1\u{ad}", By::Policy),
    // IPv6, and IPv4 inside of it.
    ("[::1]", By::Policy),
    ("[::]", By::Policy),
    ("[0:0:0:0:0:0:0:1]", By::Policy),
    ("[0000::0001]", By::Policy),
    ("[::ffff:127.0.0.1]", By::Policy),
    ("[::ffff:7f00:1]", By::Policy),
    ("[::FFFF:10.0.0.1]", By::Policy),
    ("[::127.0.0.1]", By::Policy),
    ("[::ffff:0:127.0.0.1]", By::Policy),
    ("[64:ff9b::127.0.0.1]", By::Policy),
    ("[64:ff9b:1::127.0.0.1]", By::Policy),
    ("[2002:7f00:1::1]", By::Policy),
    ("[2001::80ff:fffe]", By::Policy),
    ("[2606:4700::5efe:127.0.0.1]", By::Policy),
    ("[fe80::5efe:127.0.0.1]", By::Policy),
    ("[fe80::1]", By::Policy),
    ("[fd00::2]", By::Policy),
    ("[fec0::1]", By::Policy),
    ("[ff02::1]", By::Policy),
    ("[100::1]", By::Policy),
    ("[2001:db8::1]", By::Policy),
    ("[3fff::1]", By::Policy),
    ("[5f00::1]", By::Policy),
    // With the name of an interface.
    ("[fe80::1%25lo]", By::Reader),
    ("[::1%lo]", By::Reader),
    // By name.
    ("localhost", By::Policy),
    ("LocalHost.", By::Policy),
    ("a.localhost", By::Policy),
    ("a.b.localhost.", By::Policy),
    ("localhost..", By::Nobody),
    ("127.0.0.1.test", By::Nobody),
];

/// Names, to be put before the victim's port, which the resolver finds to be private.
const NAMES: [&str; 18] = [
    "loopback.test",
    "LOOPBACK.test.",
    "under_score.test",
    "private.test",
    "link-local.test",
    "unspecified.test",
    "both.test",
    "both-v6.test",
    "v6.test",
    "mapped.test",
    "mapped-private.test",
    "compatible.test",
    "nat64.test",
    "6to4.test",
    "local.test",
    "alias.test",
    "chain.test",
    "to-localhost.test",
];

/// Whole URLs; `PORT` stands for the victim's.
const URLS: [(&str, By); 27] = [
    ("http://example.test@127.0.0.1:PORT/", By::Policy),
    ("http://example.test:80@127.0.0.1:PORT/", By::Policy),
    ("http://example.test%40127.0.0.1:PORT/", By::Reader),
    ("http://a@b@127.0.0.1:PORT/", By::Policy),
    ("http://127.0.0.1:PORT@example.test/", By::Nobody),
    ("http://127.0.0.1:PORT\\@example.test/", By::Policy),
    ("http://example.test\\@127.0.0.1:PORT/", By::Nobody),
    ("http:\\\\127.0.0.1:PORT\\x", By::Policy),
    ("http:127.0.0.1:PORT/", By::Policy),
    ("http:/127.0.0.1:PORT/", By::Policy),
    ("http:////127.0.0.1:PORT/", By::Policy),
    ("hTTp://127.0.0.1:PORT/", By::Policy),
    (" http://127.0.0.1:PORT/ ", By::Policy),
    ("ht\ntp://127.0.0.1:PORT/", By::Policy),
    ("http://127.0.0.1:0PORT/", By::Policy),
    ("http://127.0.0.1:\tPORT/", By::Policy),
    ("http://127.0.0.1:PORT#@example.test/", By::Policy),
    ("http://127.0.0.1:PORT?@example.test/", By::Policy),
    ("http://example.test#@127.0.0.1:PORT/", By::Nobody),
    ("http://example.test?@127.0.0.1:PORT/", By::Nobody),
    ("https://127.0.0.1:PORT/", By::Policy),
    ("http://127.0.0.1:65536/", By::Reader),
    ("ftp://127.0.0.1:PORT/", By::Reader),
    ("gopher://127.0.0.1:PORT/_GET%20/", By::Reader),
    ("file:///etc/passwd", By::Reader),
    ("//127.0.0.1:PORT/", By::Reader),
    ("data:image/png;base64,AAAA", By::Reader),
];

fn all_urls(port: u16) -> Vec<(String, By)> {
    let host = |&(host, by): &(&str, By)| (format!("http://{host}:{port}/x.png"), by);
    let name = |name: &&str| (format!("http://{name}:{port}/x.png"), By::Resolver);
    let url = |&(url, by): &(&str, By)| (url.replace("PORT", &port.to_string()), by);
    let hosts = HOSTS.iter().map(host).chain(NAMES.iter().map(name));
    hosts.chain(URLS.iter().map(url)).collect()
}

/// Whether an answer is what it is to be; whether the URL was accepted.
fn accepted(answer: &crate::harness::Answer, field: &str, url: &str, by: By) -> bool {
    if matches!(by, By::Resolver | By::Nobody) {
        assert_eq!(answer.status, 202, "{url:?}: {answer:?}");
        return true;
    }
    assert_eq!(
        (answer.status, answer.code()),
        (422, "VALIDATION_ERROR"),
        "{url:?}"
    );
    let error = &answer.body["error"]["details"]["errors"][0];
    assert_eq!(error["field"], field, "{url:?}");
    let message = error["message"].as_str().unwrap();
    let named = message.contains("ALLOWED_PRIVATE_HOSTS");
    assert_eq!(named, by == By::Policy, "{url:?}: {message}");
    false
}

fn assert_refused(ended: &Value, url: &str, by: By) {
    let error = &ended["error"];
    assert_eq!(error["code"], "IMAGE_LOAD_FAILED", "{url:?}: {ended}");
    let message = error["message"].as_str().unwrap();
    let reason = error["details"]["reason"].as_str().unwrap();
    if by == By::Resolver {
        assert_eq!(reason, "address_not_allowed", "{url:?}: {message}");
        assert!(
            message.contains("ALLOWED_PRIVATE_HOSTS"),
            "{url:?}: {message}"
        );
    } else {
        assert_ne!(reason, "address_not_allowed", "{url:?}: {message}");
    }
}

#[tokio::test]
async fn no_image_url_leads_to_a_private_address() {
    let (names, victim) = (names().await, Victim::start().await);
    let service = service(&names, &[]).await;
    let mut accepted_jobs = Vec::new();
    for (number, (url, by)) in all_urls(victim.port).into_iter().enumerate() {
        let id = format!("j{number}");
        let body = json!({ "image_url": url, "job_id": id });
        if accepted(&service.generate(&body).await, "image_url", &url, by) {
            accepted_jobs.push((id, url, by));
        }
    }
    assert_eq!(accepted_jobs.len(), NAMES.len() + 6);
    for (id, url, by) in accepted_jobs {
        assert_refused(&service.ended(&id).await, &url, by);
    }
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn no_callback_url_leads_to_a_private_address() {
    let (names, victim, origin) = (names().await, Victim::start().await, Origin::start().await);
    let service = service(&names, &[&origin.address().to_string()]).await;
    let mut jobs = Vec::new();
    for (number, (url, by)) in all_urls(victim.port).into_iter().enumerate() {
        let id = format!("j{number}");
        let body = json!({
            "image_url": origin.url("/disc.png"),
            "callback_url": url,
            "job_id": id,
        });
        if accepted(&service.generate(&body).await, "callback_url", &url, by) {
            jobs.push(id);
        }
    }
    for id in jobs {
        assert_eq!(service.ended(&id).await["status"], "completed");
    }
    // The shutdown waits for the callbacks.
    service.stop().await;
    assert_eq!(victim.connections(), 0);
}

/// What the other tests rely on: connections to the victim are seen and counted, by whatever
/// address.
#[tokio::test]
async fn the_victim_sees_who_is_allowed() {
    let (names, victim) = (names().await, Victim::start().await);
    let allowed = [
        "127.0.0.2",
        "[::1]",
        "loopback.test",
        "under_score.test",
        "a.localhost",
    ];
    let service = service(&names, &allowed).await;
    for (number, host) in allowed.iter().enumerate() {
        let id = format!("j{number}");
        let url = format!("http://{host}:{}/", victim.port);
        service.accept(&id, &url).await;
        let ended = service.ended(&id).await;
        assert_eq!(
            ended["error"]["details"]["reason"], "connection_broken",
            "{ended}"
        );
        assert_eq!(victim.connections(), number + 1, "{host}");
    }
}

#[tokio::test]
async fn allowed_hosts_are_reached_by_name_and_by_address() {
    let (names, origin) = (names().await, Origin::start().await);
    let port = origin.address().port();
    let other = Victim::start().await;
    let with_port = |host: &str| format!("{host}:{port}");
    for (allowed, host, open, other_port) in [
        ("open.test".to_owned(), "open.test", true, true),
        ("open.test".to_owned(), "OPEN.test.", true, true),
        (with_port("open-port.test"), "open-port.test", true, false),
        ("127.0.0.1".to_owned(), "127.0.0.1", true, true),
        (with_port("127.0.0.1"), "127.0.0.1", true, false),
        (with_port("localhost"), "localhost", true, false),
        // A name is not its address, nor the other way round.
        ("127.0.0.1".to_owned(), "open.test", false, false),
        ("open.test".to_owned(), "127.0.0.1", false, false),
        ("open.test".to_owned(), "sub.open.test", false, false),
    ] {
        let service = service(&names, &[&allowed]).await;
        for (id, port, open) in [("own", port, open), ("other", other.port, other_port)] {
            let before = other.connections();
            let url = format!("http://{host}:{port}/disc.png");
            let answer = service
                .generate(&json!({ "image_url": url, "job_id": id }))
                .await;
            let ended = match answer.status {
                202 => service.ended(id).await,
                _ => Value::Null,
            };
            if id == "own" {
                assert_eq!(
                    ended["status"] == "completed",
                    open,
                    "{allowed} {url}: {ended}"
                );
            }
            let seen = other.connections() - before;
            assert_eq!(seen, usize::from(id == "other" && open), "{allowed} {url}");
        }
    }
}

#[tokio::test]
async fn no_setting_opens_the_metadata_service() {
    let hosts = [
        ("metadata.test", By::Resolver),
        ("metadata.google.internal", By::Resolver),
        ("metadata-mapped.test", By::Resolver),
        ("metadata-6to4.test", By::Resolver),
        ("169.254.169.254", By::Policy),
        ("2852039166", By::Policy),
        ("[::ffff:169.254.169.254]", By::Policy),
        ("[64:ff9b:1::a9fe:a9fe]", By::Policy),
        ("[2002:a9fe:a9fe::]", By::Policy),
        ("[fd00:ec2::254]", By::Policy),
        ("168.63.129.16", By::Policy),
        ("100.100.100.200", By::Policy),
    ];
    let names = names().await;
    let service = service(&names, &hosts.map(|(host, _)| host)).await;
    for (number, (host, by)) in hosts.into_iter().enumerate() {
        let id = format!("j{number}");
        let url = format!("http://{host}/latest/meta-data");
        let answer = service
            .generate(&json!({ "image_url": url, "job_id": id }))
            .await;
        let message = if by == By::Policy {
            assert_eq!(answer.status, 422, "{host}");
            answer.body["error"]["message"].clone()
        } else {
            assert_eq!(answer.status, 202, "{host}");
            let ended = service.ended(&id).await;
            assert_eq!(ended["error"]["details"]["reason"], "address_not_allowed");
            ended["error"]["message"].clone()
        };
        assert!(
            message.as_str().unwrap().contains("cloud metadata"),
            "{host}: {message}"
        );
    }
}

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

#[tokio::test]
async fn no_redirect_leads_to_a_private_address() {
    let (names, victim) = (names().await, Victim::start().await);
    let port = victim.port;
    let locations = [
        format!("http://127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("/\\127.0.0.1:{port}/"),
        format!("\\\\127.0.0.1:{port}\\"),
        format!("http:\\\\127.0.0.1:{port}/"),
        format!("https://127.0.0.2:{port}/"),
        format!("HTTP://127.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://a@127.0.0.2:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://loopback.test:{port}/"),
        format!("http://both.test:{port}/"),
        format!("http://chain.test:{port}/"),
        format!("http://mapped.test:{port}/"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        // Leads on, by a path alone, to the first.
        "/0/302".to_owned(),
        "0/302".to_owned(),
    ];
    let elsewhere = [
        format!("ftp://127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "data:image/png;base64,AAAA".to_owned(),
    ];
    let all = [&locations[..], &elsewhere[..]].concat();
    let targets = all.clone();
    // `/3/302` redirects to the location 3 with status 302.
    let origin = RawOrigin::start(move |request, _| {
        let mut path = request.path.trim_start_matches('/').split('/').rev();
        let status: u16 = path.next().unwrap().parse().unwrap();
        let target: usize = path.next().unwrap().parse().unwrap();
        let headers = format!("location: {}\r\ncontent-length: 0\r\n", targets[target]);
        vec![Step::Send(answer(status, &headers, b""))]
    })
    .await;
    let service = service(&names, &[&origin.address.to_string()]).await;
    for status in STATUSES {
        for number in 0..all.len() {
            let url = origin.url(&format!("/{number}/{status}"));
            service.accept(&format!("{status}-{number}"), &url).await;
        }
    }
    for status in STATUSES {
        for (number, location) in all.iter().enumerate() {
            let ended = service.ended(&format!("{status}-{number}")).await;
            let reason = &ended["error"]["details"]["reason"];
            let expected = match number < locations.len() {
                true => "address_not_allowed",
                false => "redirect_scheme",
            };
            assert_eq!(reason, expected, "{location}: {ended}");
        }
    }
    assert_eq!(victim.connections(), 0);
}
