//! `report.json`: what became of every image, and what `--resume` goes by.

use crate::failure::{DISK_FULL, Problem};
use crate::output::write_file;
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use spinelift_mesh::ALGORITHM_VERSION;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const FILE_NAME: &str = "report.json";

/// Changes when older reports cannot be read any more.
const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    version: u32,
    /// All that a mesh depends on but its image.
    settings: Value,
    /// Whether the batch ended before it was through.
    pub(crate) interrupted: bool,
    pub(crate) totals: Totals,
    pub(crate) images: Vec<Record>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Totals {
    pub(crate) images: usize,
    pub(crate) ok: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Not reached before the batch was stopped.
    pub(crate) not_run: usize,
    /// Of the batch from start to end.
    pub(crate) milliseconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Failed,
    /// Done in an earlier run.
    Skipped,
}

/// What became of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) input: String,
    pub(crate) status: Status,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Made>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<RecordedError>,
    pub(crate) milliseconds: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RecordedError {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) advice: String,
    pub(crate) details: Value,
}

/// A result; paths are relative to the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preview: Option<String>,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) vertex_count: usize,
    pub(crate) triangle_count: usize,
    /// One, unless islands have meshes of their own; the counts are of all.
    #[serde(default = "one")]
    pub(crate) mesh_count: usize,
    /// Absent in older reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) coverage: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overdraw: Option<f64>,
    pub(crate) warnings: Vec<Value>,
    pub(crate) input_sha256: String,
    pub(crate) output_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preview_bytes: Option<u64>,
    /// Other formats: path and size of each file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exports: BTreeMap<String, u64>,
}

/// What must be there beside a mesh that need not be made again.
pub(crate) struct Wanted<'a> {
    pub(crate) preview: bool,
    pub(crate) exports: &'a [PathBuf],
}

fn one() -> usize {
    1
}

impl Record {
    pub(crate) fn failed(input: &Path, problem: &Problem, milliseconds: f64) -> Self {
        Record {
            input: input.to_string_lossy().into_owned(),
            status: Status::Failed,
            made: None,
            error: Some(RecordedError {
                code: problem.code.to_owned(),
                message: problem.message.clone(),
                advice: problem.advice.clone(),
                details: problem.details.clone(),
            }),
            milliseconds,
        }
    }
}

impl Report {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        Report {
            version: VERSION,
            settings: json!({
                "algorithm_version": ALGORITHM_VERSION,
                "parameters": recipe.parameters,
                // They are part of the mesh.
                "warnings": recipe.warnings,
                "limits": {
                    "max_image_dimension": recipe.limits.max_image_dimension,
                    "max_image_pixels": recipe.limits.max_image_pixels,
                    "max_decoder_memory": recipe.limits.max_decoder_memory,
                    "max_mesh_vertices": recipe.limits.max_mesh_vertices,
                },
            }),
            interrupted: false,
            totals: Totals::default(),
            images: Vec::new(),
        }
    }

    /// Whether an image failed for want of space: then no more was done.
    pub(crate) fn is_cut_short(&self) -> bool {
        let errors = self
            .images
            .iter()
            .filter_map(|record| record.error.as_ref());
        { errors }.any(|error| error.details["reason"] == DISK_FULL)
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), Problem> {
        let mut json = serde_json::to_vec_pretty(self)
            .unwrap_or_else(|_| unreachable!("numbers and strings always serialize"));
        json.push(b'\n');
        write_file(&folder.join(FILE_NAME), &json)
    }
}

/// What earlier runs have done with the same settings.
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    /// By path of the result.
    records: HashMap<String, Record>,
}

/// Why there is nothing to resume.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NothingToResume {
    #[error("there is no {FILE_NAME} of an earlier run")]
    NoReport,
    #[error("the earlier {FILE_NAME} cannot be read ({0})")]
    Unreadable(String),
    #[error("the earlier run had other parameters or limits")]
    OtherSettings,
}

impl Earlier {
    /// Reads the report of the run before, if it made meshes in the way of `current`.
    pub(crate) fn read(folder: &Path, current: &Report) -> Result<Self, NothingToResume> {
        let bytes = match fs::read(folder.join(FILE_NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(NothingToResume::NoReport);
            }
            Err(error) => return Err(NothingToResume::Unreadable(error.to_string())),
        };
        let report: Report = serde_json::from_slice(&bytes)
            .map_err(|error| NothingToResume::Unreadable(error.to_string()))?;
        if report.version != current.version || report.settings != current.settings {
            return Err(NothingToResume::OtherSettings);
        }
        let records = report.images.into_iter().filter_map(|record| {
            let output = record.made.as_ref()?.output.clone();
            // Stands for several names that are not UTF-8.
            (!output.contains(char::REPLACEMENT_CHARACTER)).then_some((output, record))
        });
        Ok(Earlier {
            records: records.collect(),
        })
    }

    /// The record of a result that need not be made again.
    pub(crate) fn done(
        &self,
        folder: &Path,
        mesh: &Path,
        input_sha256: &str,
        wanted: &Wanted<'_>,
    ) -> Option<Record> {
        let mut record = self.carried(mesh)?;
        let made = record.made.as_mut()?;
        let whole = |path: &str, bytes: u64| {
            fs::metadata(folder.join(path)).is_ok_and(|file| file.is_file() && file.len() == bytes)
        };
        if made.input_sha256 != input_sha256 || !whole(&made.output, made.output_bytes) {
            return None;
        }
        let drawn = match (&made.preview, made.preview_bytes) {
            (Some(path), Some(bytes)) => whole(path, bytes),
            _ => false,
        };
        if !drawn {
            made.preview = None;
            made.preview_bytes = None;
        }
        made.exports.retain(|path, bytes| whole(path, *bytes));
        let are_there = wanted
            .exports
            .iter()
            .all(|path| made.exports.contains_key(&*path.to_string_lossy()));
        (are_there && (drawn || !wanted.preview)).then_some(record)
    }

    /// The record of an image that was not looked at in this run, for the next one.
    pub(crate) fn carried(&self, mesh: &Path) -> Option<Record> {
        let record = self.records.get(&*mesh.to_string_lossy())?;
        Some(Record {
            status: Status::Skipped,
            milliseconds: 0.0,
            ..record.clone()
        })
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use spinelift_mesh::{Limits, MeshParameters, Warning};

    fn recipe() -> Recipe {
        Recipe {
            parameters: MeshParameters::default(),
            limits: Limits::DEFAULT,
            warnings: Vec::new(),
        }
    }

    fn report_with(folder: &Path, preview: Option<u64>) -> Report {
        fs::write(folder.join("a.png.mesh.json"), "12345").expect("written");
        fs::write(folder.join("a.png.mesh.svg"), "123").expect("written");
        let mut report = Report::new(&recipe());
        report.images.push(Record {
            input: "a.png".into(),
            status: Status::Ok,
            made: Some(Made {
                output: "a.png.mesh.json".into(),
                preview: preview.map(|_| "a.png.mesh.svg".into()),
                width: 1,
                height: 1,
                vertex_count: 4,
                triangle_count: 2,
                mesh_count: 1,
                coverage: Some(1.0),
                overdraw: None,
                warnings: Vec::new(),
                input_sha256: "abc".into(),
                output_bytes: 5,
                preview_bytes: preview,
                exports: BTreeMap::new(),
            }),
            error: None,
            milliseconds: 1.5,
        });
        report
    }

    #[test]
    fn a_report_can_be_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut report = report_with(folder.path(), None);
        let problem = Problem::new("CODE", "message", "advice");
        report
            .images
            .push(Record::failed(Path::new("b.png"), &problem, 0.0));
        report.write(folder.path()).expect("written");
        let bytes = fs::read(folder.path().join(FILE_NAME)).expect("readable");
        let read: Report = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(read, report);
    }

    #[test]
    fn only_the_same_image_with_its_result_is_done() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        report_with(folder, None).write(folder).expect("written");
        let earlier = Earlier::read(folder, &Report::new(&recipe())).expect("the same settings");
        let done = |sha256, preview| {
            let mesh = Path::new("a.png.mesh.json");
            let exports = &[];
            earlier
                .done(folder, mesh, sha256, &Wanted { preview, exports })
                .map(|record| record.status)
        };
        assert_eq!(done("abc", false), Some(Status::Skipped));
        assert_eq!(done("abcd", false), None, "the image has changed");
        assert_eq!(done("abc", true), None, "there was no preview");
        fs::write(folder.join("a.png.mesh.json"), "1234").expect("written");
        assert_eq!(done("abc", false), None, "the result is cut off");
        fs::remove_file(folder.join("a.png.mesh.json")).expect("removed");
        assert_eq!(done("abc", false), None, "the result is gone");
    }

    #[test]
    fn a_preview_that_is_gone_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        report_with(folder, Some(3)).write(folder).expect("written");
        let earlier = Earlier::read(folder, &Report::new(&recipe())).expect("the same settings");
        let mesh = Path::new("a.png.mesh.json");
        let wanted = |preview| Wanted {
            preview,
            exports: &[],
        };
        assert!(earlier.done(folder, mesh, "abc", &wanted(true)).is_some());
        fs::remove_file(folder.join("a.png.mesh.svg")).expect("removed");
        assert!(earlier.done(folder, mesh, "abc", &wanted(true)).is_none());
        let record = earlier
            .done(folder, mesh, "abc", &wanted(false))
            .expect("none was asked for");
        assert_eq!(record.made.and_then(|made| made.preview), None);
    }

    #[test]
    fn an_export_that_is_gone_or_new_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut report = report_with(folder, None);
        fs::write(folder.join("a.png.obj"), "12").expect("written");
        if let Some(made) = &mut report.images[0].made {
            made.exports.insert("a.png.obj".into(), 2);
        }
        report.write(folder).expect("written");
        let earlier = Earlier::read(folder, &Report::new(&recipe())).expect("the same settings");
        let done = |exports: &[&str]| {
            let exports: Vec<_> = exports.iter().map(PathBuf::from).collect();
            let wanted = Wanted {
                preview: false,
                exports: &exports,
            };
            earlier.done(folder, Path::new("a.png.mesh.json"), "abc", &wanted)
        };
        assert!(done(&[]).is_some());
        assert!(done(&["a.png.obj"]).is_some());
        assert!(done(&["a.png.obj", "a.png.glb"]).is_none());
        fs::remove_file(folder.join("a.png.obj")).expect("removed");
        assert!(done(&["a.png.obj"]).is_none());
        assert!(done(&[]).is_some());
    }

    #[test]
    fn other_settings_resume_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        report_with(folder, None).write(folder).expect("written");
        let mut others = vec![recipe(), recipe(), recipe()];
        others[0].parameters.detail_factor = 0.02;
        others[1].limits.max_mesh_vertices = 10;
        others[2].warnings.push(Warning::UnknownParameter {
            name: "edge".into(),
        });
        for other in &others {
            let error = Earlier::read(folder, &Report::new(other)).expect_err("other settings");
            assert!(matches!(error, NothingToResume::OtherSettings), "{error}");
        }
        fs::write(folder.join(FILE_NAME), "{").expect("written");
        let error = Earlier::read(folder, &Report::new(&recipe())).expect_err("cut off");
        assert!(matches!(error, NothingToResume::Unreadable(_)), "{error}");
    }

    #[test]
    fn a_digest_is_hexadecimal() {
        assert!(sha256(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
