//! What the network of a sandbox is for.
