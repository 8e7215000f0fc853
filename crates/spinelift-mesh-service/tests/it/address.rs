//! Which hosts are connected to.

use crate::harness::{Origin, TestService};
use serde_json::json;
use spinelift_mesh_service::AllowedHost;

#[tokio::test]
async fn private_hosts_are_refused_at_once_and_the_setting_is_named() {
    let service = TestService::start_with(|s| s.allowed_private_hosts.clear()).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "10.1.2.3",
        "[::1]",
        "2130706433",
        "0.0.0.0",
    ] {
        let url = format!("http://{host}/x");
        for (field, body) in [
            ("image_url", json!({ "image_url": url })),
            (
                "callback_url",
                json!({ "image_url": "http://example.com/", "callback_url": url }),
            ),
        ] {
            let answer = service.generate(&body).await;
            assert_eq!(
                (answer.status, answer.code()),
                (422, "VALIDATION_ERROR"),
                "{body}"
            );
            let error = &answer.body["error"]["details"]["errors"][0];
            assert_eq!(error["field"], field);
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains("ALLOWED_PRIVATE_HOSTS"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_checked() {
    let (origin, other) = (Origin::start().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        let only = AllowedHost::parse(&origin.address().to_string()).unwrap();
        s.allowed_private_hosts = vec![only];
    })
    .await;
    service.accept("direct", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("direct").await["status"], "completed");

    let hop = format!("/to/private/{}", other.address().port());
    for (id, path, reason) in [
        ("private", hop.as_str(), "ALLOWED_PRIVATE_HOSTS"),
        ("metadata", "/to/metadata", "metadata"),
    ] {
        service.accept(id, &origin.url(path)).await;
        let error = service.ended(id).await["error"].take();
        assert_eq!(error["code"], "IMAGE_LOAD_FAILED");
        assert_eq!(error["details"]["reason"], "address_not_allowed");
        assert!(
            error["message"].as_str().unwrap().contains(reason),
            "{error}"
        );
        assert_eq!(error["details"]["tries"], 1);
    }
    assert_eq!(other.hits("/disc.png"), 0);
}
