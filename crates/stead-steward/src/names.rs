//! Made-up names.

use std::path::Path;

/// A name for a session whose creator gave none: the agent or the command's program, and the lowest number
/// from 1 that makes it free.
pub fn make_name(agent: Option<&str>, command: &[String], taken: impl Fn(&str) -> bool) -> String {
    let program = agent.or_else(|| {
        command.first().and_then(|c| Path::new(c).file_name()).and_then(|name| name.to_str())
    });
    let allowed: String = program
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(40)
        .collect();
    let base = match allowed.trim_start_matches(['-', '.']) {
        "" => "session",
        base => base,
    };
    let mut number = 1u64;
    loop {
        let name = format!("{base}-{number}");
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_wire::session::check_name;

    #[test]
    fn a_made_up_name_is_free_and_allowed() {
        let taken = |name: &str| name == "bash-1" || name == "bash-2";
        assert_eq!(make_name(None, &["/bin/bash".into()], taken), "bash-3");
        assert_eq!(make_name(Some("claude"), &["x".into()], |_| false), "claude-1");
        for odd in ["", "/", "..", "-x", "a b/ö", &"y".repeat(300)] {
            check_name(&make_name(None, &[odd.to_owned()], |_| false)).unwrap();
        }
    }
}
