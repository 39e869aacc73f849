//! A report for people.

use super::{Action, Finding, Report, Verdict};
use crate::audit::clean::clean;
use std::fmt::{self, Write as _};

/// Narrower than this nothing is wrapped.
const NARROW: usize = 40;

impl Report {
    /// For a terminal of this width: what failed, worst first, then what could not be looked at; `all` adds what passed.
    /// Whatever stands in it, nothing but text, newlines and the colours that are asked for comes out.
    pub fn plain(&self, width: usize, color: bool, all: bool) -> String {
        let mut out = String::new();
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by(|a, b| a.verdict.cmp(&b.verdict).then(b.severity.cmp(&a.severity)));
        for finding in findings {
            if finding.verdict != Verdict::Pass || all {
                one(&mut out, finding, width.max(NARROW), color);
            }
        }
        for mended in &self.mended {
            let action = clean(&mended.action.to_string());
            let id = clean(&mended.id);
            let _ = match &mended.failed {
                None => writeln!(out, "mended   {id}: {action}"),
                Some(why) => writeln!(out, "not mended   {id}: {action}: {}", clean(why)),
            };
        }
        let counts = self.counts;
        let _ = write!(
            out,
            "{} is {} of 100 as system {}: {} passed",
            clean(&self.machine),
            self.score,
            clean(&self.system),
            counts.pass
        );
        for (count, what) in [(counts.fail, "failed"), (counts.unknown, "could not be looked at")] {
            if count > 0 {
                let _ = write!(out, ", {count} {what}");
            }
        }
        out.push('\n');
        out
    }
}

fn one(out: &mut String, finding: &Finding, width: usize, color: bool) {
    let (word, shade) = match finding.verdict {
        Verdict::Fail => ("FAIL", 31),
        Verdict::Unknown => ("unknown", 33),
        Verdict::Pass => ("pass", 32),
    };
    let word = if color { format!("\x1b[{shade}m{word}\x1b[0m") } else { word.to_owned() };
    let (id, severity) = (clean(&finding.id), finding.severity.word());
    let _ = writeln!(out, "{word}  {id}  ({severity})  {}", clean(&finding.title));
    wrapped(out, &clean(&finding.evidence), width);
    if let Some(fix) = finding.fix.as_ref().filter(|_| finding.verdict == Verdict::Fail) {
        wrapped(out, &format!("-> {}", clean(fix)), width);
    }
}

fn wrapped(out: &mut String, text: &str, width: usize) {
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            out.push('\n');
            used = 0;
        }
        let gap = if used == 0 { "      " } else { " " };
        used += gap.len() + length;
        out.push_str(gap);
        out.push_str(word);
    }
    out.push('\n');
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Close { path, without } => {
                let who = match (without & 0o007 > 0, without & 0o444 > 0) {
                    (true, _) if without & 0o070 > 0 => "go",
                    (true, _) => "o",
                    (false, _) => "g",
                };
                let what = if without & 0o444 > 0 { "rwx" } else { "w" };
                write!(f, "chmod {who}-{what} {}", path.display())
            }
            Action::Leave { user, group } => write!(f, "gpasswd -d {user} {group}"),
            Action::Lock { user } => write!(f, "usermod -L {user}"),
            Action::Start { unit } => write!(f, "systemctl enable --now {unit}"),
        }
    }
}
