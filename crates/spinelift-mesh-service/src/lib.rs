//! The mesh service: HTTP, jobs, storage and callbacks around the `spinelift-mesh` library.
