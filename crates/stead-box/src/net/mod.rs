//! The network of a sandbox: a namespace with no way out but this process, and its rules.
