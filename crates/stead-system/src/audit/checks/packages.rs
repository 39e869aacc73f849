//! Packages.

use super::{Check, Fix, Judgement, concerns, unless};
use crate::Whole;
use crate::audit::evidence::Evidence;
use crate::audit::report::Severity;
use stead_file::declared::Os;

pub const CHECKS: &[Check] = &[Check {
    id: "packages.installed",
    title: "Every declared package is installed",
    severity: Severity::Medium,
    judge: installed,
}];

fn installed(whole: &Whole, evidence: &Evidence) -> Judgement {
    let system = &whole.system;
    // A generation of NixOS has all of its packages, or it would not be there.
    concerns(system.os == Os::Debian)?;
    let wanted: Vec<&String> = system.packages.iter().chain(&system.debian.packages).collect();
    concerns(!wanted.is_empty())?;
    let has = evidence.packages.as_ref()?;
    let missing = wanted.iter().filter(|name| !has.contains(**name));
    let wrong: Vec<String> = missing.map(|name| format!("{name} is not installed")).collect();
    unless(&wrong, format!("{} packages", wanted.len()), || Fix::Switch)
}
