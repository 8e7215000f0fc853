//! How meshes are made in one run of the command: parameters, limits and warnings.

use crate::cli::LimitArgs;
use crate::console::Console;
use crate::failure::{Failure, Problem};
use crate::interrupt::Interrupt;
use crate::parameters::ParameterArgs;
use spinelift_mesh::{Limits, Mesh, MeshError, MeshParameters, Observer, Step, Warning};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) parameters: MeshParameters,
    pub(crate) limits: Limits,
    /// Of the parameters; every mesh carries them.
    pub(crate) warnings: Vec<Warning>,
}

/// Why there is no mesh.
#[derive(Debug)]
pub(crate) enum Unmade {
    Interrupted,
    Problem(Problem),
}

impl From<Problem> for Unmade {
    fn from(problem: Problem) -> Self {
        Unmade::Problem(problem)
    }
}

impl Recipe {
    pub(crate) fn read(
        parameters: ParameterArgs,
        limits: &LimitArgs,
        console: &mut Console,
    ) -> Result<Self, Failure> {
        let (parameters, warnings) = parameters.read()?;
        for warning in &warnings {
            console.warning(warning);
        }
        Ok(Recipe {
            parameters,
            limits: limits.limits(),
            warnings,
        })
    }

    /// When the searches of a run that begins now have to end.
    fn deadline(&self) -> Option<Instant> {
        let milliseconds = self.parameters.deadline_ms?;
        Some(Instant::now() + Duration::from_millis(milliseconds.into()))
    }

    pub(crate) fn make(&self, image: &[u8], interrupt: &Interrupt) -> Result<Mesh, Unmade> {
        let mut watch = Watch {
            interrupt,
            deadline: self.deadline(),
        };
        let run = || spinelift_mesh::generate(image, &self.parameters, &self.limits, &mut watch);
        // A defect that shows on one image must not end a batch.
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(mut mesh)) => {
                mesh.metadata
                    .warnings
                    .splice(0..0, self.warnings.iter().cloned());
                Ok(mesh)
            }
            Ok(Err(MeshError::Stopped { .. })) => Err(Unmade::Interrupted),
            Ok(Err(error)) => Err(Unmade::Problem(error.into())),
            Err(_) => Err(Unmade::Problem(Problem::new(
                "INTERNAL_ERROR",
                "the mesh generator crashed on this image",
                "This is a defect of spinelift-mesh: please report it, with the image.",
            ))),
        }
    }
}

/// Watches a run: the user may stop it, and its time may be up.
struct Watch<'a> {
    interrupt: &'a Interrupt,
    deadline: Option<Instant>,
}

impl Observer for Watch<'_> {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        { self.interrupt }.step(step)
    }

    fn poll(&mut self) -> ControlFlow<()> {
        { self.interrupt }.poll()
    }

    fn is_time_up(&mut self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// The result file: JSON with an end of line.
pub(crate) fn json(mesh: &Mesh) -> Vec<u8> {
    let mut json = mesh.to_json();
    json.push(b'\n');
    json
}
