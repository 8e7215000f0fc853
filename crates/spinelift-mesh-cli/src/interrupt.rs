//! Ctrl-C and SIGTERM: the first asks to stop, the second ends the process at once.

use crate::failure::Failure;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use spinelift_mesh::{Observer, Step};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A file that grows beyond the limit on its size (`ulimit -f`) is an error like that of a full disk
/// from here on, and not the end of the process.
pub(crate) fn outlive_file_size_limit() {
    #[cfg(unix)]
    {
        // Whatever receives the signal will do. Without it, it ends the process as usual.
        let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    }
}

/// Tells whether the user wants the command to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    /// Number of the signal received, 0 for none.
    signal: Arc<AtomicUsize>,
    /// Whether the next signal ends the process at once.
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// From here on signals are noted instead of ending the process. To be called when there is
    /// something to clean up, not before: reading from a terminal or a stalled pipe must end with
    /// the first Ctrl-C.
    pub(crate) fn install() -> io::Result<Self> {
        let interrupt = Interrupt::default();
        for signal in [SIGINT, SIGTERM] {
            // Handlers run in the order of their registration.
            let exit_code = 128 + signal;
            flag::register_conditional_shutdown(signal, exit_code, interrupt.at_once.clone())?;
            flag::register_usize(signal, interrupt.signal.clone(), signal as usize)?;
            flag::register(signal, interrupt.at_once.clone())?;
        }
        Ok(interrupt)
    }

    /// Nothing is left to clean up: a signal may end the process at once again.
    pub(crate) fn release(&self) {
        self.at_once.store(true, Ordering::SeqCst);
    }

    pub(crate) fn requested(&self) -> bool {
        self.signal.load(Ordering::SeqCst) != 0
    }

    /// # Errors
    /// The stop was asked for.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.signal.load(Ordering::SeqCst) {
            0 => Ok(()),
            signal => Err(Failure::Interrupted {
                exit_code: u8::try_from(128 + signal).unwrap_or(u8::MAX),
            }),
        }
    }

    fn answer(&self) -> ControlFlow<()> {
        if self.requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Stops a run of the pipeline on request.
impl Observer for &Interrupt {
    fn step(&mut self, _: Step) -> ControlFlow<()> {
        self.answer()
    }

    fn poll(&mut self) -> ControlFlow<()> {
        self.answer()
    }
}
