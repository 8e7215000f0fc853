use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_variables(|name| {
        let found = variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn the_defaults_are_the_contracts() {
    let settings = Settings::default();
    assert_eq!(settings.service_name, "spinelift-mesh-service");
    assert!(!settings.debug);
    assert_eq!(settings.api_prefix, "/api/v1");
    assert_eq!(settings.max_request_size.get(), 100 * 1024 * 1024);
    assert_eq!(settings.request_timeout, Duration::from_secs(300));
    assert_eq!(settings.max_image_dimension, 4096);
    assert_eq!(settings.max_concurrent_jobs.get(), 10);
    assert_eq!(settings.job_timeout, Duration::from_secs(600));
    assert_eq!(settings.storage_backend, StorageBackend::Local);
    assert_eq!(settings.redis_url.to_string(), "redis://localhost:6379/0");
}

#[test]
fn every_wrong_setting_is_named_at_once() {
    let error = read(&[
        ("PORT", "80000"),
        ("MAX_CONCURRENT_JOBS", "1000000000"),
        ("API_PREFIX", "api"),
        ("ALLOWED_PRIVATE_HOSTS", "ok:80,http://no"),
        ("DEBUG", "perhaps"),
        ("JOB_TIMEOUT", "-1"),
        ("LOG_LEVEL", "verbose"),
    ])
    .expect_err("seven are wrong");
    let text = error.to_string();
    for part in [
        "PORT=\"80000\"",
        "MAX_CONCURRENT_JOBS=\"1000000000\"",
        "API_PREFIX=\"api\"",
        "ALLOWED_PRIVATE_HOSTS=\"ok:80,http://no\"",
        "DEBUG=\"perhaps\"",
        "JOB_TIMEOUT=\"-1\"",
        "LOG_LEVEL=\"verbose\"",
        "from 0 to 65535",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn an_empty_value_is_no_value() {
    let settings = read(&[
        ("PORT", ""),
        ("PUBLIC_URL", " "),
        ("ALLOWED_PRIVATE_HOSTS", ""),
    ])
    .expect("like unset");
    assert_eq!(settings.port, 8000);
    assert_eq!(settings.public_url, None);
    assert_eq!(settings.allowed_private_hosts, []);
}

#[test]
fn values_are_read() {
    let settings = read(&[
        ("DEBUG", "True"),
        ("API_PREFIX", "/mesh/v2/"),
        ("JOB_TIMEOUT", "0.5"),
        ("ALLOWED_PRIVATE_HOSTS", "rails:3000, 10.0.0.7"),
        ("PUBLIC_URL", "https://mesh.example/"),
        ("JOB_BACKEND", "sqlite"),
    ])
    .expect("all are right");
    assert!(settings.debug);
    assert_eq!(settings.log_filter(), "debug");
    assert_eq!(settings.api_prefix, "/mesh/v2");
    assert_eq!(settings.job_timeout, Duration::from_millis(500));
    assert_eq!(settings.allowed_private_hosts.len(), 2);
    assert_eq!(settings.public_url.as_deref(), Some("https://mesh.example"));
    assert_eq!(settings.job_backend, JobBackend::Embedded);
}

#[test]
fn name_servers_are_addresses_with_or_without_a_port() {
    let settings = read(&[("DNS_SERVERS", "10.0.0.53, 127.0.0.1:5353,::1, [::1]:54")]);
    let servers = settings.expect("all are right").dns_servers;
    let shown: Vec<_> = servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["10.0.0.53:53", "127.0.0.1:5353", "[::1]:53", "[::1]:54"]
    );
    for wrong in ["dns.example", "10.0.0.53:", "10.0.0", "10.0.0.53 10.0.0.54"] {
        let error = read(&[("DNS_SERVERS", wrong)]).expect_err(wrong);
        assert!(error.to_string().contains("DNS_SERVERS"), "{error}");
    }
}

#[test]
fn secrets_in_a_wrong_value_are_not_repeated() {
    let error = read(&[("PUBLIC_URL", "ftp://user:secret@h/")]).expect_err("no http URL");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_secret_is_not_repeated_even_if_it_is_wrong() {
    let error = read(&[("API_KEYS", "rails:too-short")]).expect_err("15 characters are needed");
    let text = error.to_string();
    assert!(!format!("{text}{error:?}").contains("short"), "{error:?}");
    assert!(
        text.contains("API_KEYS") && text.contains("16 or more"),
        "{text}"
    );
    let settings = read(&[("API_KEYS", "rails:0123456789abcdef")]).expect("valid");
    let shown = format!("{settings:?}");
    assert!(shown.contains("rails#9f9f5111"), "{shown}");
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn a_wrong_secret_is_named_by_its_setting_alone() {
    for name in ["WEBHOOK_SECRETS", "API_KEYS", "URL_SIGNING_KEY"] {
        let error = read(&[(name, "whsec_c2hvcnQ=")])
            .expect_err(name)
            .to_string();
        assert!(error.contains(name) && !error.contains("c2hv"), "{error}");
    }
}

#[test]
fn a_filter_that_cannot_be_read_is_refused() {
    for name in ["LOG_LEVEL", "RUST_LOG"] {
        for bad in [
            "verbose",
            "info,hyper=loud",
            "hyper=debug=info",
            "info,[span",
        ] {
            let error = read(&[(name, bad)]).expect_err(bad).to_string();
            assert!(error.contains(name), "{error}");
        }
        for good in [
            "WARN",
            "off",
            "info,hyper=debug",
            "warn,spinelift_mesh_service=trace",
        ] {
            let settings = read(&[(name, good)]).expect(good);
            assert_eq!(settings.log_filter(), good);
        }
    }
    assert_eq!(
        read(&[("LOG_FORMAT", "JSON")]).expect("valid").log_format,
        LogFormat::Json
    );
    assert!(read(&[("LOG_FORMAT", "xml")]).is_err());
}

#[test]
fn a_prefix_that_cannot_be_reached_or_hides_other_paths_is_refused() {
    for bad in [
        "/a/../b",
        "/..",
        "/./a",
        "/health",
        "/health/api/",
        "a",
        "//a",
    ] {
        assert!(read(&[("API_PREFIX", bad)]).is_err(), "{bad}");
    }
    for good in ["/", "/a.b/..c", "/healthy", "/api/health"] {
        assert!(read(&[("API_PREFIX", good)]).is_ok(), "{good}");
    }
}

#[test]
fn networks_are_addresses_or_ranges() {
    let settings = read(&[("TRUSTED_PROXIES", "10.0.0.7, fd00::/8")]).expect("valid");
    let shown: Vec<_> = settings
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(shown, ["10.0.0.7/32", "fd00::/8"]);
    for bad in ["proxy", "10.0.0.0/33", "10.0.0.1:80"] {
        assert!(read(&[("TRUSTED_PROXIES", bad)]).is_err(), "{bad}");
    }
}

#[test]
fn the_documentation_names_every_setting() {
    for spec in SETTINGS {
        assert!(documentation().contains(&format!("| `{}` |", spec.name)));
        assert!(example_file().contains(&format!("# {}={}\n", spec.name, spec.default)));
    }
}
