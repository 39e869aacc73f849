//! What processes in a sandbox may ask of the kernel: capabilities and system calls.
