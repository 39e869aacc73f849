//! Limits of memory, processors and processes, by cgroup v1 or v2, verified after they are set.
