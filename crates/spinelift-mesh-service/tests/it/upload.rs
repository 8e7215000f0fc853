//! Images that come along with their jobs.

use crate::harness::{Answer, Origin, TestService};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const BOUNDARY: &str = "a-boundary";

/// A form: names and bodies of its parts.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub(crate) async fn upload_to(
    service: &TestService,
    query: &str,
    parts: &[(&str, &[u8])],
) -> Answer {
    let request = service
        .request("POST", &format!("/api/v1/mesh/upload{query}"))
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body(form(parts));
    service.send(request).await
}

async fn upload(service: &TestService, parts: &[(&str, &[u8])]) -> Answer {
    upload_to(service, "", parts).await
}

async fn disc(origin: &Origin) -> Vec<u8> {
    let response = reqwest::get(origin.url("/disc.png")).await.unwrap();
    response.bytes().await.unwrap().to_vec()
}

/// How many uploaded images are kept.
fn kept(service: &TestService) -> usize {
    let folders = std::fs::read_dir(service.directory().join("storage/uploads"));
    let files = folders.into_iter().flatten().flatten().map(|folder| {
        let files = std::fs::read_dir(folder.path()).unwrap();
        files.count()
    });
    files.sum()
}

#[tokio::test]
async fn an_upload_does_not_wait_for_downloads_that_hang() {
    let service = TestService::start_with(|settings| {
        settings.max_concurrent_downloads = 4.try_into().unwrap();
    })
    .await;
    let origin = Origin::start().await;
    for number in 0..20 {
        let id = format!("hangs-{number}");
        service.accept(&id, &origin.url("/hang.png")).await;
    }
    let answer = upload(
        &service,
        &[("file", &disc(&origin).await), ("job_id", b"u")],
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(service.ended("u").await["status"], "completed");
    assert!(origin.hits("/hang.png") <= 3, "one worker is kept free");
}

#[tokio::test]
async fn an_uploaded_image_becomes_the_mesh_that_a_loaded_one_does() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let image = disc(&origin).await;
    let answer = upload_to(
        &service,
        "?format=spine",
        &[
            ("job_id", b"up"),
            ("preset", b"balanced"),
            (
                "parameters",
                br#"{"detail_factor": 0.02, "alpha_threshold": 5}"#,
            ),
            ("detail_factor", b"0.03"),
            ("callback_url", b""),
            ("note", b"x"),
            ("note", b"\xff"),
            ("file", &image),
        ],
    )
    .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["job_id"], "up");
    let warnings = answer.body["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (warning, name) in warnings.iter().zip(["`note`", "`format`"]) {
        assert_eq!(warning["code"], "UNKNOWN_FIELD");
        assert!(warning["message"].as_str().unwrap().contains(name));
    }
    assert_eq!(service.ended("up").await["status"], "completed");
    let loaded = json!({
        "image_url": origin.url("/disc.png"), "job_id": "loaded", "preset": "balanced",
        "parameters": { "detail_factor": 0.03, "alpha_threshold": 5 },
    });
    service.generate(&loaded).await;
    assert_eq!(service.ended("loaded").await["cached"], true);
    let result = service.result("up").await.body;
    assert_eq!(result, service.result("loaded").await.body);
    assert_eq!(result["metadata"]["parameters"]["blur_kernel_size"], 5);
    crate::harness::eventually("the image is removed", || async {
        (kept(&service) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn options_come_as_json_or_by_their_paths() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let image = disc(&origin).await;
    let parts: [(&str, &[u8]); 9] = [
        ("job_id", b"cover"),
        ("outline.max_vertices", b"8"),
        ("outline", br#"{"mode": "cover", "max_vertices": 30}"#),
        (
            "parameters",
            br#"{"outline": {"padding": 1, "mode": "reference"}}"#,
        ),
        ("interior.vertices", b"40"),
        ("interior.min_angle", b""),
        ("deadline_ms", b"600000"),
        ("alpha_threshold", b"5"),
        ("file", &image),
    ];
    let answer = upload(&service, &parts).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.body.get("warnings").is_none(), "{answer:?}");
    assert_eq!(service.ended("cover").await["status"], "completed");
    let result = service.result("cover").await.body;
    let parameters = &result["metadata"]["parameters"];
    let outline = json!({
        "mode": "cover", "max_vertices": 8, "padding": 1.0, "islands": "bridge",
        "symmetry": "none",
    });
    assert_eq!(parameters["outline"], outline);
    assert_eq!(parameters["interior"], json!({ "vertices": 40 }));
    assert_eq!(parameters["alpha_threshold"], 5);

    let wrong: [(&str, &[u8]); 6] = [
        ("outline.mode", b"round"),
        ("outline.max_vertices", b"3"),
        ("interior", b"{"),
        ("deadline_ms", b"soon"),
        ("outline.gloss", b"1"),
        ("file", &image),
    ];
    let answer = upload(&service, &wrong).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let errors = answer.body["error"]["details"]["errors"]
        .as_array()
        .unwrap();
    let mut fields: Vec<_> = errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    let expected = [
        "interior",
        "parameters.deadline_ms",
        "parameters.outline.max_vertices",
        "parameters.outline.mode",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_form_is_told() {
    let service = TestService::start().await;
    let answer = upload_to(
        &service,
        "?wait=0",
        &[
            ("file", b"<html>"),
            ("parameters", b"{"),
            ("alpha_threshold", b"ten"),
            ("preset", b"best"),
            ("callback_url", b"mailto:a@b"),
            ("job_id", b"a/b"),
        ],
    )
    .await;
    assert_eq!((answer.status, answer.code()), (422, "VALIDATION_ERROR"));
    let errors = answer.body["error"]["details"]["errors"]
        .as_array()
        .unwrap();
    let mut fields: Vec<_> = errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    let expected = [
        "callback_url",
        "file",
        "job_id",
        "parameters",
        "parameters.alpha_threshold",
        "preset",
        "wait",
    ];
    assert_eq!(fields, expected);
    let missing = upload(&service, &[("job_id", b"j")]).await;
    assert_eq!(
        missing.body["error"]["details"]["errors"][0]["field"],
        "file"
    );
    let request = service.request("POST", "/api/v1/mesh/upload").body("{}");
    assert_eq!(service.send(request).await.status, 415);
    let broken = service
        .request("POST", "/api/v1/mesh/upload")
        .header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        )
        .body("--a-boundary\r\n");
    let broken = service.send(broken).await;
    assert_eq!((broken.status, broken.code()), (400, "INVALID_FORM"));
    assert_eq!(kept(&service), 0);
}

#[tokio::test]
async fn an_image_that_is_too_large_names_the_setting() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_image_bytes = 5000.try_into().unwrap();
        s.max_request_size = 20_000.try_into().unwrap();
    })
    .await;
    let image = disc(&origin).await;
    assert_eq!(upload(&service, &[("file", &image)]).await.status, 202);
    for (bytes, setting) in [(5001, "MAX_IMAGE_BYTES"), (20_000, "MAX_REQUEST_SIZE")] {
        let mut image = image.clone();
        image.resize(bytes, 0);
        let answer = upload(&service, &[("file", &image)]).await;
        assert_eq!((answer.status, answer.code()), (413, "PAYLOAD_TOO_LARGE"));
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains(setting), "{message}");
    }
}

#[tokio::test]
async fn an_image_of_some_megabytes_passes() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let mut image = disc(&origin).await;
    image.resize(5_000_000, 0);
    assert_eq!(upload(&service, &[("file", &image)]).await.status, 202);
}

#[tokio::test]
async fn the_same_image_under_an_id_is_the_same_job_and_another_a_conflict() {
    let origin = Origin::start().await;
    let service =
        TestService::start_with(|s| s.max_concurrent_downloads = 1.try_into().unwrap()).await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    let image = disc(&origin).await;
    let large = reqwest::get(origin.url("/large.png")).await.unwrap();
    let large = large.bytes().await.unwrap();
    for _ in 0..2 {
        let answer = upload(&service, &[("file", &image), ("job_id", b"j")]).await;
        assert_eq!(
            (answer.status, &answer.body["status"]),
            (202, &json!("processing"))
        );
        assert_eq!(kept(&service), 1);
    }
    let other_image = upload(&service, &[("file", &large), ("job_id", b"j")]).await;
    assert_eq!(
        (other_image.status, other_image.code()),
        (409, "JOB_ID_CONFLICT")
    );
    let parts: [(&str, &[u8]); 3] = [
        ("file", &image),
        ("job_id", b"j"),
        ("alpha_threshold", b"11"),
    ];
    assert_eq!(upload(&service, &parts).await.status, 409);
    assert_eq!(kept(&service), 1, "the job needs its own");
    origin.open_gate();
    assert_eq!(service.ended("j").await["status"], "completed");
    let answer = upload(&service, &[("file", &image), ("job_id", b"j")]).await;
    assert_eq!(answer.body["status"], "completed");
    crate::harness::eventually("the images are removed", || async {
        (kept(&service) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_waiting_job_that_is_cancelled_or_refused_leaves_no_image() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.max_queue_length = 1.try_into().unwrap();
    })
    .await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    let image = disc(&origin).await;
    upload(&service, &[("file", &image), ("job_id", b"waits")]).await;
    let refused = upload(&service, &[("file", &image), ("job_id", b"late")]).await;
    assert_eq!(refused.code(), "QUEUE_FULL");
    assert_eq!(kept(&service), 1);
    let request = service.request("POST", "/api/v1/mesh/waits/cancel");
    assert_eq!(service.send(request).await.body["cancelled"], true);
    assert_eq!(kept(&service), 0);
}

#[tokio::test]
async fn an_upload_survives_a_restart_and_has_the_digest_of_its_bytes() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.drain_timeout = std::time::Duration::from_millis(1);
    })
    .await;
    service.accept("hangs", &origin.url("/hang.png")).await;
    service.running("hangs").await;
    let image = disc(&origin).await;
    upload(&service, &[("file", &image), ("job_id", b"j")]).await;
    let digest: String = Sha256::digest(&image)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let folder = std::fs::read_dir(service.directory().join("storage/uploads"));
    let folder = folder.unwrap().next().unwrap().unwrap().path();
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_str().unwrap().ends_with(&digest));
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |_| {}).await;
    assert_eq!(service.ended("j").await["status"], "completed");
}

#[tokio::test]
async fn an_upload_can_wait_for_its_mesh() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let image = disc(&origin).await;
    let answer = upload_to(&service, "?wait=60", &[("file", &image)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["status"], "completed");
    let id = answer.body["job_id"].as_str().unwrap();
    let result: Value = service.result(id).await.body;
    assert_eq!(answer.body["result"], result);
}

#[tokio::test]
async fn bodies_that_find_no_memory_are_refused_for_now() {
    // An eighth of the budget: 512 KiB for bodies.
    let service = TestService::start_with(|s| {
        s.memory_budget = 4 << 20;
        s.max_image_bytes = (1 << 20).try_into().unwrap();
    })
    .await;
    let spaces = |count| " ".repeat(count);
    let large = service.generate_text(&spaces(600 << 10)).await;
    assert_eq!(
        (large.status, large.code()),
        (503, "MEMORY_BUDGET_EXHAUSTED")
    );
    assert!(large.headers.contains_key("retry-after"));
    // What was taken has been given back.
    for _ in 0..20 {
        let fits = service.generate_text(&spaces(400 << 10)).await;
        assert_eq!((fits.status, fits.code()), (400, "INVALID_JSON"));
    }
}

#[tokio::test]
async fn a_full_queue_is_told_before_an_image_is_stored() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.max_queue_length = 1.try_into().unwrap();
    })
    .await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    let image = disc(&origin).await;
    service.accept("waits", &origin.url("/disc.png")).await;
    // Storing anything would fail.
    std::fs::write(service.directory().join("storage/uploads"), b"").unwrap();
    let refused = upload(&service, &[("file", &image), ("job_id", b"late")]).await;
    assert_eq!((refused.status, refused.code()), (503, "QUEUE_FULL"));
}

#[tokio::test]
async fn images_that_wait_take_so_much_disk_and_no_more() {
    let origin = Origin::start().await;
    let image = disc(&origin).await;
    let size = image.len() as u64;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.max_upload_storage = 2 * size;
    })
    .await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    for id in ["a", "b"] {
        let accepted = upload(&service, &[("file", &image), ("job_id", id.as_bytes())]).await;
        assert_eq!(accepted.status, 202, "{accepted:?}");
    }
    let parts: [(&str, &[u8]); 2] = [("file", &image), ("job_id", b"c")];
    let refused = upload(&service, &parts).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "UPLOAD_STORAGE_FULL")
    );
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(service.status("c").await.status, 404);
    assert_eq!(kept(&service), 2);
    origin.open_gate();
    crate::harness::eventually("there is room again", || async {
        (upload(&service, &parts).await.status == 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_head_of_a_part_has_a_bound() {
    let service = TestService::start().await;
    let request = |name: &str| {
        let body = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}");
        service
            .request("POST", "/api/v1/mesh/upload")
            .header(
                "content-type",
                format!("multipart/form-data; boundary={BOUNDARY}"),
            )
            .body(body)
    };
    let answer = service.send(request(&"x".repeat(2 << 20))).await;
    assert_eq!((answer.status, answer.code()), (400, "INVALID_FORM"));
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("longer than"), "{message}");
    let answer = service.send(request("x")).await;
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(!message.contains("longer than"), "{message}");
}

/// However long parts are, the bound is on what is between them; and pieces of any size will do.
#[tokio::test]
async fn large_parts_that_mean_nothing_pass() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let image = disc(&origin).await;
    let large = vec![b'x'; 3 << 20];
    let parts: [(&str, &[u8]); 4] = [
        ("note", &large),
        ("callback_url", b""),
        ("other", &large),
        ("file", &image),
    ];
    assert_eq!(upload(&service, &parts).await.status, 202);
}
