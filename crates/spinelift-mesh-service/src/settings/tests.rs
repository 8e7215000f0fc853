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
    assert_eq!(settings.redis_url, "redis://localhost:6379/0");
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
fn the_documentation_names_every_setting() {
    for spec in SETTINGS {
        assert!(documentation().contains(&format!("| `{}` |", spec.name)));
        assert!(example_file().contains(&format!("# {}={}\n", spec.name, spec.default)));
    }
}
