//! The line between a machine's agent and its host: one virtio-serial port that carries many connections.
