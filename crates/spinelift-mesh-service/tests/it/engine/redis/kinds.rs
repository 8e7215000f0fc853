//! Kinds of servers: a cluster, sentinels, encrypted ones, those with passwords; and those that
//! cannot be used.

use super::*;
use crate::harness::{Origin, RedisProcess, free_port, listening};
use spinelift_mesh_service::engine::redis::{Refusal, Unsuitable};
use tempfile::TempDir;

/// A process that ends with the test.
struct Running {
    _process: RedisProcess,
    _directory: TempDir,
}

async fn run(port: u16, arguments: &[&str], file: Option<&str>) -> Running {
    let directory = TempDir::new().unwrap();
    if let Some(text) = file {
        std::fs::write(directory.path().join("own.conf"), text).unwrap();
    }
    let file = file.map(|_| "own.conf");
    let arguments = file.into_iter().chain(arguments.iter().copied());
    let process = RedisProcess::start(directory.path(), arguments);
    listening(port).await;
    Running {
        _process: process,
        _directory: directory,
    }
}

async fn ask(port: u16, words: &[&str]) -> ::redis::Value {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}/")).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = ::redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    command.query_async(&mut connection).await.unwrap()
}

fn options(url: &str) -> Options {
    Options {
        url: RedisUrl::parse(url).unwrap(),
        authorities: None,
        namespace: "own".into(),
        node: None,
        lease: LEASE,
        works: true,
        signing: None,
        bounds: BOUNDS,
    }
}

#[tokio::test]
async fn a_cluster_holds_the_jobs_in_one_slot_and_is_listened_to() {
    let ports = [free_port(), free_port(), free_port()];
    let mut servers = Vec::new();
    for port in ports {
        let (port_text, bus) = (port.to_string(), free_port().to_string());
        let arguments = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &bus,
            "--cluster-node-timeout",
            "10000",
        ];
        servers.push((run(port, &arguments, None).await, bus));
    }
    for (index, range) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")]
        .iter()
        .enumerate()
    {
        ask(
            ports[index],
            &["CLUSTER", "ADDSLOTSRANGE", range.0, range.1],
        )
        .await;
    }
    for (index, (_, bus)) in servers.iter().enumerate().skip(1) {
        let port = ports[index].to_string();
        ask(ports[0], &["CLUSTER", "MEET", "127.0.0.1", &port, bus]).await;
    }
    for port in ports {
        eventually("the cluster is whole", || async {
            let info = ::redis::from_redis_value::<String>(ask(port, &["CLUSTER", "INFO"]).await);
            let info = info.unwrap();
            let whole = info.contains("cluster_state:ok") && info.contains("known_nodes:3");
            whole.then_some(())
        })
        .await;
    }
    let url = format!(
        "redis+cluster://127.0.0.1:{},127.0.0.1:{}",
        ports[1], ports[2]
    );
    let (one, two) = (
        RedisEngine::open(options(&url)).await.unwrap(),
        RedisEngine::open(options(&url)).await.unwrap(),
    );
    work(&one, "a").await;
    one.accept(told_job("b")).await.unwrap();
    let claim = claim(&two).await;
    one.cancel(&id("b")).await.unwrap();
    claim.stop.told().await;
    assert_eq!(two.due().await.unwrap().unwrap().0.of, id("b"));
}

#[tokio::test]
async fn a_failover_is_survived_with_what_the_replica_has() {
    let [master, replica, sentinel] = [free_port(), free_port(), free_port()];
    let server = |port: u16| {
        vec![
            "--port".to_owned(),
            port.to_string(),
            "--save".into(),
            "".into(),
        ]
    };
    let mut arguments = server(master);
    let text = |arguments: &[String]| arguments.to_vec();
    let first = text(&arguments);
    let first = run(
        master,
        &first.iter().map(String::as_str).collect::<Vec<_>>(),
        None,
    )
    .await;
    arguments = server(replica);
    arguments.extend(["--replicaof".into(), format!("127.0.0.1 {master}")]);
    let second = text(&arguments);
    let _second = run(
        replica,
        &second.iter().map(String::as_str).collect::<Vec<_>>(),
        None,
    )
    .await;
    eventually("the replica follows", || async {
        let info = ask(replica, &["INFO", "replication"]).await;
        let info: String = ::redis::from_redis_value(info).unwrap();
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    let file = format!(
        "port {sentinel}\nsentinel monitor own 127.0.0.1 {master} 1\n\
         sentinel down-after-milliseconds own 3000\nsentinel failover-timeout own 10000\n"
    );
    let _sentinel = run(sentinel, &["--sentinel"], Some(&file)).await;
    eventually("the sentinel knows the replica", || async {
        let replicas = ask(sentinel, &["SENTINEL", "REPLICAS", "own"]).await;
        let replicas: Vec<::redis::Value> = ::redis::from_redis_value(replicas).unwrap();
        (!replicas.is_empty()).then_some(())
    })
    .await;
    let url = format!("redis+sentinel://127.0.0.1:{sentinel}/0?master=own");
    let engine = RedisEngine::open(options(&url)).await.unwrap();
    work(&engine, "before").await;
    engine.accept(job("kept")).await.unwrap();
    let running = claim(&engine).await;
    ask(master, &["WAIT", "1", "5000"]).await;
    drop(first);
    recovered(&engine).await;
    assert_eq!(state(&engine, "before").await, JobState::Completed);
    let fenced = engine.finish(&running, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
    work(&engine, "after").await;
}

#[tokio::test]
async fn an_encrypted_server_is_trusted_if_its_authority_is() {
    let directory = TempDir::new().unwrap();
    let (certificate, key, authority) = certificates(directory.path());
    let port = free_port();
    let port_text = port.to_string();
    let arguments = [
        "--port",
        "0",
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
        "--save",
        "",
    ];
    let _server = run(port, &arguments, None).await;
    let mut trusting = options(&format!("rediss://localhost:{port}/0"));
    let strange = RedisEngine::open(trusting.clone()).await.err();
    assert!(
        matches!(&strange, Some(OpenError::Unreachable { reason, .. }) if reason.contains("certificate")),
        "{strange:?}"
    );
    trusting.authorities = Some(authority.into());
    let engine = RedisEngine::open(trusting.clone()).await.unwrap();
    work(&engine, "a").await;
    let other = RedisEngine::open(trusting.clone()).await.unwrap();
    other.accept(job("b")).await.unwrap();
    let claim = claim(&engine).await;
    other.cancel(&id("b")).await.unwrap();
    claim.stop.told().await;
    trusting.authorities = Some(directory.path().join("none.pem"));
    let missing = RedisEngine::open(trusting).await.err();
    assert!(matches!(missing, Some(OpenError::Authorities { .. })));
}

/// The files of a certificate for this machine, its key, and the authority that signed it.
fn certificates(directory: &Path) -> (String, String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(parameters, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let server = CertificateParams::new(names).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    (
        write("server.pem", certificate.pem()),
        write("server.key", key.serialize_pem()),
        write("authority.pem", authority.pem()),
    )
}

#[tokio::test]
async fn a_user_with_a_password_may_do_what_is_needed_and_no_error_tells_the_password() {
    let port = free_port();
    let port_text = port.to_string();
    let file = "user default off\nuser mesh on >hush-hush ~{own}:* &{own}:* +@all -@admin \
                -@dangerous +info\n";
    let arguments = ["--port", &port_text, "--save", ""];
    let _server = run(port, &arguments, Some(file)).await;
    let engine = RedisEngine::open(options(&format!(
        "redis://mesh:hush-hush@localhost:{port}/0"
    )));
    work(&engine.await.unwrap(), "a").await;
    let wrong = options(&format!("redis://mesh:hushed-up@localhost:{port}/0"));
    let refused = RedisEngine::open(wrong).await.err().unwrap();
    let text = format!("{refused} {refused:?}");
    assert!(
        text.contains("REDIS_URL") && !text.contains("hushed"),
        "{text}"
    );
    let nameless = options(&format!("redis://localhost:{port}/0"));
    for wrong in [refused, RedisEngine::open(nameless).await.err().unwrap()] {
        let OpenError::Refused { reason, .. } = wrong else {
            panic!("{wrong:?}");
        };
        assert_eq!(reason, Refusal::Credentials);
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_url_is_said_in_a_sentence() {
    let server = RedisServer::shared().await;
    let open = async |url: String| RedisEngine::open(options(&url)).await.err().unwrap();
    let numbered = open(format!("redis://127.0.0.1:{}/99", server.port())).await;
    assert!(matches!(
        numbered,
        OpenError::Refused {
            reason: Refusal::Database,
            ..
        }
    ));
    let origin = Origin::start().await;
    let encrypted = [
        open(format!("rediss://127.0.0.1:{}/0", server.port())).await,
        open(origin.url("/0").replace("http", "rediss")).await,
    ];
    for error in &encrypted {
        let text = error.to_string();
        assert!(text.contains("a server without TLS is redis://"), "{text}");
    }
    let strange = open(origin.url("/0").replace("http", "redis")).await;
    assert!(
        matches!(
            strange,
            OpenError::Refused {
                reason: Refusal::NotRedis,
                ..
            }
        ),
        "{strange:?}"
    );
    for error in encrypted.iter().chain([&numbered, &strange]) {
        let text = error.to_string();
        assert!(text.contains("REDIS_URL") && !text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_throws_keys_away_is_refused() {
    let arguments = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = RedisServer::start(&arguments).await;
    let refused = RedisEngine::open(options(&server.url())).await.err();
    let Some(OpenError::Unsuitable { reason, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(reason, Unsuitable::Evicts { policy } if policy == "allkeys-lru"));
}

#[tokio::test]
async fn a_full_server_takes_no_new_jobs_and_lets_what_was_begun_end() {
    let store = Namespace::of(RedisServer::start(&[]).await).await;
    let engine = store.open().await;
    for name in ["a", "b"] {
        engine.accept(told_job(name)).await.unwrap();
    }
    let a = claim(&engine).await;
    store.command("CONFIG SET maxmemory 1").await;
    let refused = engine.accept(job("c")).await;
    assert!(matches!(refused, Err(EngineError::Unavailable { .. })));
    assert_eq!(engine.get(&id("c")).await, Ok(None));
    let b = claim(&engine).await;
    for claim in [a, b] {
        let fenced = engine.finish(&claim, completed()).await;
        assert_eq!(fenced, Ok(Fenced::Recorded));
        let (delivery, _lane) = engine.due().await.unwrap().unwrap();
        assert_eq!(delivery.of, claim.job.id);
    }
    store.command("CONFIG SET maxmemory 0").await;
    work(&engine, "c").await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be() {
    let url = format!("redis://127.0.0.1:{}/0", free_port());
    let refused = RedisEngine::open(options(&url)).await.err().unwrap();
    let text = refused.to_string();
    assert!(
        text.contains(&url) && text.contains("cannot be reached"),
        "{text}"
    );
}
