//! `spinelift-mesh demo`.

use crate::command::{json_file, run};
use crate::server::Server;
use crate::sprites::{save, star, transparent};
use spinelift_mesh::Step;
use std::fs;
use std::net::TcpListener;
use tempfile::tempdir;

#[test]
fn a_sample_becomes_a_mesh_before_ones_eyes() {
    let folder = tempdir().unwrap();
    // The second one finds what the first one left.
    for _ in 0..2 {
        let run = run(folder.path(), &["demo", "--once", "--port", "0"]).exits(0);
        let text = String::from_utf8(run.stdout).unwrap();
        let mut rest = text.as_str();
        for step in Step::ALL {
            let line = format!("{:>5} %  {}\n", step.percent(), step.message());
            let (_, after) = rest
                .split_once(&line)
                .unwrap_or_else(|| panic!("{line} in {text}"));
            rest = after;
        }
        let mesh = json_file(&folder.path().join("spinelift-demo/mesh.json"));
        let vertices = mesh["metadata"]["vertex_count"].as_u64().unwrap();
        assert!(rest.contains(&format!("{vertices} vertices")), "{rest}");
        assert!(rest.contains("spinelift-demo/mesh.json"), "{rest}");
        let svg = fs::read_to_string(folder.path().join("spinelift-demo/mesh.svg")).unwrap();
        roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn ones_own_image_is_shown() {
    let folder = tempdir().unwrap();
    save(folder.path(), "star.png", &star(90, 5));
    save(folder.path(), "clear.png", &transparent(90));
    let demo = |image| {
        run(
            folder.path(),
            &["demo", "--once", "--port", "0", "--image", image],
        )
    };
    demo("star.png").exits(0);
    let mesh = json_file(&folder.path().join("spinelift-demo/mesh.json"));
    assert_eq!(mesh["metadata"]["width"], 90);
    demo("clear.png")
        .exits(1)
        .says(&["CONTOUR_EXTRACTION_FAILED"]);
    demo("none.png")
        .exits(1)
        .says(&["there is no file none.png"]);
}

#[test]
fn a_taken_port_is_told() {
    let folder = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(folder.path(), &["demo", "--once", "--port", &port])
        .exits(1)
        .says(&[&format!("port {port} is taken"), "--port"]);
}

#[test]
fn a_second_demo_is_told_to_use_another_folder() {
    let folder = tempdir().unwrap();
    let command = &mut crate::command::spinelift_mesh();
    let _first = Server::spawn(
        command
            .current_dir(folder.path())
            .args(["demo", "--port", "0"]),
    );
    run(folder.path(), &["demo", "--once", "--port", "0"])
        .exits(1)
        .says(&["--dir"]);
    run(
        folder.path(),
        &["demo", "--once", "--port", "0", "--dir", "other"],
    )
    .exits(0);
}

#[cfg(unix)]
#[test]
fn the_commands_to_try_work_as_they_stand() {
    use crate::command::spinelift_mesh;
    use crate::interrupt::send;
    use crate::server::{agent, get_json};
    use std::io::{BufRead, BufReader};
    use std::process::Command;

    let folder = tempdir().unwrap();
    let mut demo = spinelift_mesh()
        .current_dir(folder.path())
        .args(["demo", "--port", "0"])
        .spawn()
        .unwrap();
    let mut commands = Vec::new();
    for line in BufReader::new(demo.stdout.as_mut().unwrap()).lines() {
        let line = line.unwrap().trim().to_owned();
        let is_last = line.contains(" batch ");
        if line.starts_with("curl ") || line.contains(" generate ") || is_last {
            commands.push(line);
        }
        if is_last {
            break;
        }
    }
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in &commands {
        let words: Vec<_> = command.split_whitespace().collect();
        match words[..] {
            // As curl would, which is not everywhere.
            ["curl", url, "-d", body] => {
                let answer = agent().post(url).send(body.trim_matches('\'')).unwrap();
                assert_eq!(answer.status(), 202);
            }
            ["curl", url] if url.ends_with("/status") => {
                while get_json(url)["status"] == "processing" {}
                assert_eq!(get_json(url)["status"], "completed");
            }
            ["curl", url] => assert!(get_json(url)["vertices"].is_array()),
            _ => {
                let shell = Command::new("sh")
                    .current_dir(folder.path())
                    .args(["-c", command])
                    .output()
                    .unwrap();
                assert!(shell.status.success(), "{command}: {shell:?}");
            }
        }
    }
    send("-INT", &demo);
    assert_eq!(demo.wait().unwrap().code(), Some(0));
}
