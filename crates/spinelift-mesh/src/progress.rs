//! The nine steps of the pipeline, and who watches them.

use std::fmt;
use std::ops::ControlFlow;

/// A step of the pipeline, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The format is recognised and the header checked against the limits.
    LoadImage,
    /// The alpha plane is decoded; pixels below `alpha_threshold` become transparent.
    CreateMask,
    /// The mask is blurred and made binary.
    ProcessContours,
    /// The contour of the largest area is found.
    FindMainContour,
    /// The contour becomes an outline of few vertices.
    SimplifyContour,
    /// The outline is filled with triangles.
    TriangulateMesh,
    /// Every vertex gets its texture coordinates.
    GenerateUvs,
    /// Edges are collected and told apart into boundary and internal ones.
    CalculateEdges,
    /// The mesh is complete.
    Finalize,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Step; 9] = [
        Step::LoadImage,
        Step::CreateMask,
        Step::ProcessContours,
        Step::FindMainContour,
        Step::SimplifyContour,
        Step::TriangulateMesh,
        Step::GenerateUvs,
        Step::CalculateEdges,
        Step::Finalize,
    ];

    /// The progress reported when the step begins, in percent (10 to 100).
    #[must_use]
    pub const fn percent(self) -> u8 {
        match self {
            Step::LoadImage => 10,
            Step::CreateMask => 20,
            Step::ProcessContours => 30,
            Step::FindMainContour => 40,
            Step::SimplifyContour => 50,
            Step::TriangulateMesh => 70,
            Step::GenerateUvs => 85,
            Step::CalculateEdges => 95,
            Step::Finalize => 100,
        }
    }

    /// The message reported when the step begins, as the service contract words it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Step::LoadImage => "Loading image...",
            Step::CreateMask => "Creating mask...",
            Step::ProcessContours => "Processing contours...",
            Step::FindMainContour => "Finding main contour...",
            Step::SimplifyContour => "Simplifying contour...",
            Step::TriangulateMesh => "Triangulating mesh...",
            Step::GenerateUvs => "Generating UV coordinates...",
            Step::CalculateEdges => "Calculating edges...",
            Step::Finalize => "Mesh generation complete",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Watches a run of the pipeline and may stop it.
///
/// `()` watches nothing; any `FnMut(Step) -> ControlFlow<()>` is an observer too.
pub trait Observer {
    /// Called once at the beginning of each step. [`ControlFlow::Break`] stops the run.
    fn step(&mut self, step: Step) -> ControlFlow<()>;

    /// Called again and again inside long steps, no further apart than some milliseconds.
    /// [`ControlFlow::Break`] stops the run. Not called again after that.
    fn poll(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Asked between the rounds of a search that could go on: with `true` it ends with the best
    /// that it has, which is valid. Here a caller's deadline goes; the library has no clock.
    fn is_time_up(&mut self) -> bool {
        false
    }
}

impl Observer for () {
    fn step(&mut self, _: Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(Step) -> ControlFlow<()>> Observer for F {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        self(step)
    }
}

/// The run was stopped by its [`Observer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// Turns an observer's answer into a result that `?` understands.
pub(crate) fn proceed(answer: ControlFlow<()>) -> Result<(), Stopped> {
    match answer {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Stopped),
    }
}
