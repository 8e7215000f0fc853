//! The observer of a search: stopped, or time is up.

use crate::progress::{Observer, Stopped, proceed};

/// Rows between two questions.
const ROWS: usize = 64;

/// An observer.
pub(crate) struct Watch<'a> {
    observer: &'a mut dyn Observer,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Watch { observer }
    }

    pub(crate) fn proceed(&mut self) -> Result<(), Stopped> {
        proceed(self.observer.poll())
    }

    /// Asks at some of the rows of an image.
    pub(crate) fn proceed_at(&mut self, row: usize) -> Result<(), Stopped> {
        if row.is_multiple_of(ROWS) {
            self.proceed()?;
        }
        Ok(())
    }

    pub(crate) fn time_is_up(&mut self) -> bool {
        self.observer.is_time_up()
    }
}
