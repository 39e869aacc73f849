//! Paths with `*` in their parts, looked for on disk.

use std::path::Path;
use std::{fs, io};

/// Whether one of these absolute paths leads to something; `None` where that could not be looked up, which is not the
/// same as no.
pub fn exists(patterns: &[String]) -> Option<bool> {
    let mut unknown = false;
    for pattern in patterns {
        match leads(Path::new("/"), pattern.trim_start_matches('/')) {
            Ok(true) => return Some(true),
            Ok(false) => {}
            Err(_) => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

fn leads(below: &Path, pattern: &str) -> io::Result<bool> {
    let (part, rest) = pattern.split_once('/').map_or((pattern, None), |(p, r)| (p, Some(r)));
    let candidates = if part.contains('*') {
        match fs::read_dir(below) {
            Ok(entries) => entries
                .flatten()
                .filter(|entry| fits(part, &entry.file_name().to_string_lossy()))
                .map(|entry| entry.path())
                .collect(),
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
    } else {
        vec![below.join(part)]
    };
    for candidate in candidates {
        let found = match rest {
            Some(rest) => leads(&candidate, rest)?,
            None => candidate.try_exists()?,
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_part_of_a_name() {
        assert!(
            fits("a*c", "abc")
                && fits("a*c", "ac")
                && fits("*", "x")
                && fits("r-*-i.j*", "r-1-i.jsonl")
        );
        assert!(!fits("a*c", "ab") && !fits("a", "ab") && !fits("a*b*c", "acb"));
    }

    #[test]
    fn patterns_lead_or_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("p/proj")).unwrap();
        fs::write(dir.path().join("p/proj/1.jsonl"), "").unwrap();
        let path = |rest: &str| vec![format!("{}/{rest}", dir.path().display())];
        assert_eq!(exists(&path("p/*/1.jsonl")), Some(true));
        assert_eq!(exists(&path("p/*/2.jsonl")), Some(false));
        assert_eq!(exists(&path(&"x".repeat(300))), None);
    }
}
