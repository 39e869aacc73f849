//! Where this host gets its Debian packages from.

use std::fs;
use std::path::Path;

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// The archive.
    pub main: String,
    /// The archive of security updates.
    pub security: String,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            main: "http://deb.debian.org/debian".into(),
            security: "http://deb.debian.org/debian-security".into(),
        }
    }
}

impl Mirrors {
    /// Those in the settings of apt in `folder`; Debian's own where it has none.
    pub fn of(folder: &Path) -> Self {
        let mut found = Vec::new();
        if let Ok(text) = fs::read_to_string(folder.join("sources.list")) {
            found.extend(lines(&text));
        }
        if let Ok(entries) = fs::read_dir(folder.join("sources.list.d")) {
            let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                let Ok(text) = fs::read_to_string(&path) else { continue };
                match path.extension().and_then(|end| end.to_str()) {
                    Some("list") => found.extend(lines(&text)),
                    Some("sources") => found.extend(paragraphs(&text)),
                    _ => {}
                }
            }
        }
        let mut mirrors = Self::default();
        let named = |end: &str| {
            let mut uris = found.iter().map(|uri| uri.trim_end_matches('/'));
            uris.find(|uri| uri.rsplit('/').next() == Some(end)).map(str::to_owned)
        };
        if let Some(uri) = named("debian") {
            mirrors.main = uri;
        }
        if let Some(uri) = named("debian-security") {
            mirrors.security = uri;
        }
        mirrors
    }

    /// The lines of `sources.list` for a release.
    pub fn sources(&self, suite: &str) -> Vec<String> {
        let mut lines = vec![format!("deb {} {suite} main", self.main)];
        if suite != "sid" {
            lines.push(format!("deb {} {suite}-updates main", self.main));
            lines.push(format!("deb {} {suite}-security main", self.security));
        }
        lines
    }
}

/// The addresses in `deb [options] ADDRESS suite component…` lines.
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim_start();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            rest.split_whitespace().next().map(str::to_owned)
        })
        .collect()
}

/// The addresses in the paragraphs of a `.sources` file, but for those that are switched off or have no programs.
fn paragraphs(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let off = field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no"));
        if !off
            && field("Types")
                .is_some_and(|types| types.split_whitespace().any(|kind| kind == "deb"))
        {
            found.extend(field("URIs").unwrap_or_default().split_whitespace().map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_those_of_the_host() {
        let apt = tempfile::tempdir().unwrap();
        assert_eq!(Mirrors::of(apt.path()), Mirrors::default());
        fs::create_dir(apt.path().join("sources.list.d")).unwrap();
        let list = "# deb http://off/debian x main\ndeb [arch=amd64 signed-by=/k] http://one/debian-security/ x main\n";
        fs::write(apt.path().join("sources.list"), list).unwrap();
        let sources = "Types: deb\nURIs: http://off/debian\nEnabled: no\n\n# mine\nTypes: deb deb-src\n\
            URIs: http://node/node http://two/debian/\nSuites: x\n";
        fs::write(apt.path().join("sources.list.d/a.sources"), sources).unwrap();
        let found = Mirrors::of(apt.path());
        assert_eq!(
            (found.main.as_str(), found.security.as_str()),
            ("http://two/debian", "http://one/debian-security")
        );
        let lines =
            ["deb http://two/debian trixie main", "deb http://two/debian trixie-updates main"];
        assert_eq!(found.sources("trixie")[..2], lines);
        assert_eq!(
            found.sources("trixie")[2],
            "deb http://one/debian-security trixie-security main"
        );
        assert_eq!(found.sources("sid").len(), 1);
    }
}
