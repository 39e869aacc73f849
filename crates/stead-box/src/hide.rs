//! What of this host a sandbox does not see: a layer that covers every secret.
