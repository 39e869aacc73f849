use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors enough for ten thousand sessions and their clients.
const FILES: u64 = 32_768;

/// Lets this process open one socket a session: the usual limit of 1,024 descriptors ends before 1,000 sessions.
pub fn raise_file_limit() {
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(FILES, |max| max.min(FILES));
    if now.current.is_some_and(|current| current < wanted) {
        // If it is refused, sessions beyond the limit are shown as unknown, with the reason.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum });
    }
}
