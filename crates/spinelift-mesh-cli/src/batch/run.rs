//! The images of a batch, worked on by all cores.

use super::plan::{Plan, PlannedImage};
use super::report::{Earlier, Made, Record, Status, Wanted, sha256};
use crate::export::OutputFormat;
use crate::failure::Problem;
use crate::generate::read_image;
use crate::interrupt::Interrupt;
use crate::measures::Measures;
use crate::output::write_file;
use crate::recipe::{Recipe, Unmade, json};
use spinelift_mesh::export::svg;
use spinelift_mesh::{Mesh, Shape};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// What the workers share.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) recipe: &'a Recipe,
    pub(crate) earlier: &'a Earlier,
    /// Where results go.
    pub(crate) folder: &'a Path,
    pub(crate) preview: bool,
    /// Written beside each mesh.
    pub(crate) formats: &'a [OutputFormat],
    pub(crate) interrupt: &'a Interrupt,
}

impl Run<'_> {
    /// Works on all images, `jobs` at a time, and hands each one's index and record to `receive`
    /// as they come. Ends early when interrupted, and when a disk is full: nothing more can be written
    /// then.
    pub(crate) fn work(
        &self,
        jobs: NonZeroUsize,
        mut receive: impl FnMut(usize, Record),
    ) -> io::Result<()> {
        let (next, full) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for started in 0..jobs.get().min(self.plan.images.len()) {
                let (next, full, sender) = (&next, &full, sender.clone());
                let worker = move || {
                    while !self.interrupt.requested() && !full.load(Ordering::Relaxed) {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(image) = self.plan.images.get(index) else {
                            break;
                        };
                        let Some(record) = self.record(image, full) else {
                            break;
                        };
                        if sender.send((index, record)).is_err() {
                            break;
                        }
                    }
                };
                let spawned = thread::Builder::new()
                    .name("mesh".into())
                    .spawn_scoped(scope, worker);
                match spawned {
                    Ok(_) => {}
                    Err(error) if started == 0 => return Err(error),
                    // Fewer do the work as well.
                    Err(_) => break,
                }
            }
            drop(sender);
            for (index, record) in receiver {
                receive(index, record);
            }
            Ok(())
        })
    }

    /// `None` when interrupted.
    fn record(&self, image: &PlannedImage, full: &AtomicBool) -> Option<Record> {
        let start = Instant::now();
        match self.make(image) {
            Ok(record) => Some(Record {
                milliseconds: milliseconds(start),
                ..record
            }),
            Err(Unmade::Interrupted) => None,
            Err(Unmade::Problem(problem)) => {
                if problem.is_full_disk() {
                    full.store(true, Ordering::Relaxed);
                }
                Some(Record::failed(&image.input, &problem, milliseconds(start)))
            }
        }
    }

    fn make(&self, image: &PlannedImage) -> Result<Record, Unmade> {
        let bytes = read_image(&image.input)?;
        let input_sha256 = sha256(&bytes);
        let output = image.mesh();
        let exports: Vec<PathBuf> = self
            .formats
            .iter()
            .flat_map(|format| image.exports(*format))
            .collect();
        let wanted = Wanted {
            preview: self.preview,
            exports: &exports,
        };
        if let Some(record) = self
            .earlier
            .done(self.folder, &output, &input_sha256, &wanted)
        {
            return Ok(record);
        }
        let mesh = self.recipe.make(&bytes, self.interrupt)?;
        let json = json(&mesh);
        let preview = self.preview.then(|| {
            (
                image.preview(),
                svg::preview(Some(&bytes), &Shape::from(&mesh)),
            )
        });
        let exports = self.export(image, &bytes, &mesh)?;
        self.write(&output, &json)?;
        if let Some((path, svg)) = &preview {
            self.write(path, svg.as_bytes())?;
        }
        let measures = Measures::of(&mesh);
        let metadata = mesh.metadata;
        Ok(Record {
            input: image.input.to_string_lossy().into_owned(),
            status: Status::Ok,
            made: Some(Made {
                output: output.to_string_lossy().into_owned(),
                preview: preview
                    .as_ref()
                    .map(|(path, _)| path.to_string_lossy().into_owned()),
                width: metadata.width,
                height: metadata.height,
                vertex_count: measures.vertices,
                triangle_count: measures.triangles,
                mesh_count: measures.meshes,
                coverage: Some(measures.coverage),
                overdraw: measures.overdraw,
                warnings: metadata
                    .warnings
                    .iter()
                    .map(|warning| serde_json::json!(warning))
                    .collect(),
                input_sha256,
                output_bytes: json.len() as u64,
                preview_bytes: preview.map(|(_, svg)| svg.len() as u64),
                exports,
            }),
            error: None,
            milliseconds: 0.0,
        })
    }

    /// Writes all formats that are wanted, and returns the paths of their files with their sizes.
    fn export(
        &self,
        image: &PlannedImage,
        bytes: &[u8],
        mesh: &Mesh,
    ) -> Result<BTreeMap<String, u64>, Problem> {
        let mut exports = BTreeMap::new();
        for format in self.formats {
            let places = image.exports(*format);
            if places.is_empty() {
                continue;
            }
            let files = format.write(&image.place, bytes, mesh, &self.recipe.limits)?;
            for (place, file) in places.into_iter().zip(files) {
                self.write(&place, &file.bytes)?;
                exports.insert(
                    place.to_string_lossy().into_owned(),
                    file.bytes.len() as u64,
                );
            }
        }
        Ok(exports)
    }

    fn write(&self, place: &Path, bytes: &[u8]) -> Result<(), Problem> {
        let path = self.folder.join(place);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Problem::writing(&path, &error))?;
        }
        write_file(&path, bytes)
    }
}

fn milliseconds(start: Instant) -> f64 {
    // Microseconds are as much as a report needs.
    start.elapsed().as_micros() as f64 / 1000.0
}
