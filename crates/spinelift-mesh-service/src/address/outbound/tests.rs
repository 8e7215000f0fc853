use super::*;
use crate::address::AllowedHost;
use hickory_resolver::proto::rr::RecordType;
use name_server::{Answer, NameServer};
use reqwest::dns::Resolve;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[path = "../../../tests/it/harness/name_server.rs"]
mod name_server;

/// Passes for public here.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));
const PRIVATE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn outbound(names: &NameServer, allowed: &[&str]) -> Outbound {
    let parse = |text: &&str| AllowedHost::parse(text).expect(text);
    let mut policy = AddressPolicy::new(allowed.iter().map(parse).collect());
    policy.public_in_tests = Some(PUBLIC);
    let limits = OutboundLimits {
        dns_servers: vec![names.address],
        dns_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
    };
    Outbound::new(policy, &limits).expect("starts")
}

/// Answers 200 and closes, on one address; counts the connections.
struct Host {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Host {
    async fn on(address: IpAddr, port: u16) -> Self {
        let listener = TcpListener::bind((address, port)).await.expect("listens");
        let port = listener.local_addr().expect("bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer).await;
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn get(outbound: &Outbound, url: &str) -> Result<u16, Unreachable> {
    let request = outbound.get(&Url::parse(url).expect(url))?;
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(Outbound::unreachable(&error).expect("for a reason of ours")),
    }
}

/// The name is public whenever it is asked for an even number of times, private otherwise: each
/// connection is to the address that was checked for it, or there is none.
#[tokio::test]
async fn a_name_that_changes_its_mind_never_leads_to_a_private_address() {
    let names = NameServer::start(|_, _, before| {
        let address = if before % 2 == 0 { PUBLIC } else { PRIVATE };
        Answer::Addresses(vec![address])
    })
    .await;
    let outbound = outbound(&names, &[]);
    let public = Host::on(PUBLIC, 0).await;
    let private = Host::on(PRIVATE, public.port).await;
    let url = format!("http://rebind.test:{}/", public.port);
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(get(&outbound, &url).await);
    }
    for pair in answers.chunks(2) {
        assert_eq!(pair[0], Ok(200));
        assert!(
            matches!(&pair[1], Err(Unreachable::Refused(Refused::NotPublic { host, .. }))
                if host == "rebind.test"),
            "{pair:?}"
        );
    }
    assert_eq!((public.connections(), private.connections()), (3, 0));
    // One question for each connection: nothing is asked again between check and connection.
    assert_eq!(names.asked("rebind.test", RecordType::A), 6);

    // The counting counts: a host that is allowed to be private is reached.
    let outbound = super::tests::outbound(&names, &["other.test"]);
    let url = format!("http://other.test:{}/", public.port);
    for _ in 0..2 {
        assert_eq!(get(&outbound, &url).await, Ok(200));
    }
    assert_eq!((public.connections(), private.connections()), (4, 1));
}

#[tokio::test]
async fn of_many_addresses_the_first_few_are_connected_to_and_all_are_judged() {
    let many = |last: IpAddr| {
        let mut all: Vec<_> = (1..=20).map(|n| IpAddr::from([1, 1, 1, n])).collect();
        all.push(last);
        Answer::Addresses(all)
    };
    let names = NameServer::start(move |name, _, _| match name {
        "many.test" => many(PUBLIC),
        _ => many(PRIVATE),
    })
    .await;
    let resolver = CheckedResolver {
        names: NameResolver::new(&[names.address], Duration::from_secs(20)).expect("starts"),
        policy: Arc::new(AddressPolicy {
            public_in_tests: Some(PUBLIC),
            ..AddressPolicy::default()
        }),
        trust: Trust::PublicOnly,
    };
    let resolve = |name: &str| resolver.resolve(name.parse().expect("a name"));
    assert_eq!(resolve("many.test").await.expect("public").count(), 8);
    let refused = resolve("condemned.test").await.err().expect("refused");
    assert!(refused.is::<Refused>(), "{refused}");
    assert!(!refused.to_string().contains("127."), "{refused}");
}

#[tokio::test]
async fn one_private_address_condemns_a_name() {
    let names = NameServer::start(|name, _, _| match name {
        "first.test" => Answer::Addresses(vec![PRIVATE, PUBLIC]),
        "second.test" => Answer::Addresses(vec![PUBLIC, PRIVATE]),
        "v6.test" => Answer::Addresses(vec![PUBLIC, "::1".parse().expect("an address")]),
        _ => Answer::Aliases(vec!["a.test", "b.test"], vec![PUBLIC, PRIVATE]),
    })
    .await;
    let outbound = outbound(&names, &[]);
    let public = Host::on(PUBLIC, 0).await;
    for name in ["first.test", "second.test", "v6.test", "alias.test"] {
        let url = format!("http://{name}:{}/", public.port);
        let refused = get(&outbound, &url).await;
        assert!(
            matches!(refused, Err(Unreachable::Refused(_))),
            "{name}: {refused:?}"
        );
    }
    assert_eq!(public.connections(), 0);
}

#[tokio::test]
async fn why_a_name_does_not_resolve_is_told() {
    let names = NameServer::start(|name, _, _| match name {
        "empty.test" => Answer::Addresses(vec![]),
        "failure.test" => Answer::Failure,
        "silent.test" => Answer::Silence,
        _ => Answer::NoSuchName,
    })
    .await;
    let limits = OutboundLimits {
        dns_servers: vec![names.address],
        dns_timeout: Duration::from_millis(400),
        connect_timeout: Duration::from_secs(20),
    };
    let outbound = Outbound::new(AddressPolicy::default(), &limits).expect("starts");
    for (name, expected) in [
        ("missing.test", "there is no host named missing.test"),
        ("empty.test", "the name empty.test has no address"),
        (
            "failure.test",
            "the name failure.test could not be resolved",
        ),
        (
            "silent.test",
            "no name server answered for silent.test within 0.4 s (DNS_TIMEOUT)",
        ),
    ] {
        match get(&outbound, &format!("http://{name}/")).await {
            Err(Unreachable::Name(error)) => {
                let text = error.to_string();
                assert!(text.contains(expected), "{text}");
                let passes = matches!(name, "failure.test" | "silent.test");
                assert_eq!(error.may_pass(), passes, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Some servers know nothing of IPv6, and say nothing when asked for it.
#[tokio::test]
async fn one_kind_of_address_is_enough() {
    let names = NameServer::start(|_, kind, _| match kind {
        RecordType::A => Answer::Addresses(vec![PUBLIC]),
        _ => Answer::Silence,
    })
    .await;
    let limits = OutboundLimits {
        dns_servers: vec![names.address],
        dns_timeout: Duration::from_secs(3),
        connect_timeout: Duration::from_secs(20),
    };
    let policy = (*outbound(&names, &[]).policy).clone();
    let outbound = Outbound::new(policy, &limits).expect("starts");
    let public = Host::on(PUBLIC, 0).await;
    let url = format!("http://half.test:{}/", public.port);
    assert_eq!(get(&outbound, &url).await, Ok(200));
}

/// The name server answers only after the time for connecting would have run out, and then a
/// receiver never accepts: each is told from the other.
#[tokio::test]
async fn the_time_for_connecting_begins_when_the_name_is_resolved() {
    let names = NameServer::start(|name, _, before| match name {
        // The first packet is lost.
        "late.test" if before == 0 => Answer::Silence,
        _ => Answer::Addresses(vec![PUBLIC]),
    })
    .await;
    let policy = (*outbound(&names, &[]).policy).clone();
    let limits = OutboundLimits {
        dns_servers: vec![names.address],
        dns_timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_millis(50),
    };
    let outbound = Outbound::new(policy, &limits).expect("starts");
    let public = Host::on(PUBLIC, 0).await;
    let url = format!("http://late.test:{}/", public.port);
    assert_eq!(get(&outbound, &url).await, Ok(200));

    // TLS that never begins is part of connecting.
    let silent = TcpListener::bind((PUBLIC, 0)).await.expect("listens");
    let port = silent.local_addr().expect("bound").port();
    for host in ["late.test", "127.0.0.77"] {
        let url = format!("https://{host}:{port}/");
        assert_eq!(
            get(&outbound, &url).await,
            Err(Unreachable::TimedOut(Duration::from_millis(50)))
        );
    }
}

/// `localhost` is in every hosts file, and no name server is asked for it. The policy would
/// refuse the name itself, so the clients are asked directly.
#[tokio::test]
async fn the_hosts_file_is_checked_too() {
    let names = NameServer::start(|_, _, _| Answer::Silence).await;
    let outbound = outbound(&names, &[]);
    let host = Host::on(IpAddr::V4(Ipv4Addr::LOCALHOST), 0).await;
    let url = format!("http://localhost:{}/", host.port);
    let error = outbound.public_only.get(&url).send().await;
    let reason = Outbound::unreachable(&error.expect_err("refused")).expect("by the policy");
    assert!(matches!(reason, Unreachable::Refused(_)));
    assert!(reason.to_string().contains("ALLOWED_PRIVATE_HOSTS"));
    assert_eq!(host.connections(), 0);
    let response = outbound.private_too.get(&url).send().await;
    assert_eq!(response.expect("connected").status(), 200);
}
