//! What the process takes, under the names that all Prometheus clients give it.

use super::registry::Registry;

#[cfg(target_os = "linux")]
pub(super) use linux::Process;

#[cfg(target_os = "linux")]
mod linux {
    use super::super::table::{
        PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_MEMORY, PROCESS_START,
    };
    use super::Registry;
    use metrics::{Counter, Gauge};
    use procfs::process::{LimitValue, Process as Proc};
    use procfs::{boot_time_secs, page_size};

    /// What `/proc` says.
    pub(in super::super) struct Process {
        memory: Gauge,
        cpu: Counter,
        fds: Gauge,
        max_fds: Gauge,
        start: Gauge,
    }

    impl Process {
        pub(in super::super) fn new(registry: &Registry) -> Self {
            let gauge = |spec| registry.gauge(spec, &[]);
            Self {
                memory: gauge(PROCESS_MEMORY),
                cpu: registry.counter(PROCESS_CPU, &[]),
                fds: gauge(PROCESS_FDS),
                max_fds: gauge(PROCESS_MAX_FDS),
                start: gauge(PROCESS_START),
            }
        }

        /// What cannot be read keeps its last value.
        pub(in super::super) fn update(&self) {
            let Ok(process) = Proc::myself() else { return };
            let second = procfs::ticks_per_second();
            if let Ok(stat) = process.stat() {
                self.memory.set(stat.rss as f64 * page_size() as f64);
                self.cpu.absolute((stat.utime + stat.stime) / second);
                if let Ok(boot) = boot_time_secs() {
                    self.start
                        .set(boot as f64 + stat.starttime as f64 / second as f64);
                }
            }
            if let Ok(count) = process.fd_count() {
                self.fds.set(count as f64);
            }
            if let Ok(limits) = process.limits()
                && let LimitValue::Value(most) = limits.max_open_files.soft_limit
            {
                self.max_fds.set(most as f64);
            }
        }
    }
}

/// Nothing, elsewhere than on Linux.
#[cfg(not(target_os = "linux"))]
pub(super) struct Process;

#[cfg(not(target_os = "linux"))]
impl Process {
    pub(super) fn new(_: &Registry) -> Self {
        Self
    }

    pub(super) fn update(&self) {}
}
