//! What to try after the demo: commands that work as they stand.

use super::{FAINT, STRONG, unique_id};
use crate::cli::DemoArgs;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) fn text(base: &str, image_url: &str, image: &Path, args: &DemoArgs) -> String {
    let program = program();
    let program = quoted(&program);
    let own = |name: &str| quoted(&args.dir.join(name));
    let image_folder = image.parent().filter(|parent| *parent != Path::new(""));
    let folder = quoted(image_folder.unwrap_or(Path::new(".")));
    let image = quoted(image);
    let job_id = unique_id("mine");
    let request = json!({
        "image_url": image_url,
        "job_id": job_id,
        "parameters": { "detail_factor": 0.01 },
    })
    .to_string();
    let (mesh, picture, meshes) = (own("mine.json"), own("mine.svg"), own("meshes"));
    format!(
        "
{STRONG}The service goes on at {base} until Ctrl-C. In another terminal:{STRONG:#}

  {FAINT}# the same sprite with default parameters: few triangles, none of them inside{FAINT:#}
  curl {base}/api/v1/mesh/generate -d '{request}'
  curl {base}/api/v1/mesh/{job_id}/status
  curl {base}/api/v1/mesh/{job_id}/result

  {FAINT}# without the service: one image, a folder of images{FAINT:#}
  {program} generate {image} -o {mesh} --preview {picture}
  {program} batch {folder} -o {meshes} --preview"
    )
}

/// This program, as it can be called from the same folder.
fn program() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| "spinelift-mesh".into());
    match std::env::current_dir().map(|folder| path.strip_prefix(folder).map(Path::to_owned)) {
        Ok(Ok(relative)) => relative,
        _ => path,
    }
}

/// A path as a word of the shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@,".contains(&byte);
    if text.bytes().all(plain) && !text.is_empty() {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn unusual_paths_are_quoted() {
        assert_eq!(quoted(Path::new("a/b-c_1.png")), "a/b-c_1.png");
        assert_eq!(quoted(Path::new("a b")), "'a b'");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
