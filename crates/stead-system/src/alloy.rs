//! What Grafana Alloy is told: the journal to Loki, with labels.

use crate::Whole;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The label with the unit that a line is of.
const UNIT: &str = "__journal__systemd_unit";

/// The configuration, where logs go anywhere.
pub(crate) fn alloy(whole: &Whole) -> Option<String> {
    let logs = &whole.system.logs;
    let loki = logs.loki.as_ref()?;
    let mut text = String::from(
        "// The journal of this host goes to Loki.\n\nloki.relabel \"units\" {\n  forward_to = []\n",
    );
    rule(&mut text, UNIT, None, "unit", "$1");
    rule(&mut text, "__journal_priority_keyword", None, "level", "$1");
    let mut labels: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (name, service) in &whole.system.services {
        for (label, value) in &service.labels {
            labels.entry((label, value)).or_default().insert(name);
        }
    }
    for ((label, value), units) in labels {
        let units: Vec<String> = units.into_iter().map(literal).collect();
        let regex = format!("({})\\.service", units.join("|"));
        rule(&mut text, UNIT, Some(&regex), label, &value.replace('$', "$$"));
    }
    text.push_str(
        "}\n\nloki.source.journal \"journal\" {\n  forward_to    = [loki.write.loki.receiver]\n",
    );
    text.push_str("  relabel_rules = loki.relabel.units.rules\n  labels        = {\n");
    let mut all: BTreeMap<&str, String> = BTreeMap::from([("host", whole.hostname())]);
    all.extend(logs.labels.iter().map(|(label, value)| (label.as_str(), value.clone())));
    for (label, value) in all {
        let _ = writeln!(text, "    {} = {},", name(label), quoted(&value));
    }
    let _ = write!(
        text,
        "  }}\n}}\n\nloki.write \"loki\" {{\n  endpoint {{\n    url = {}\n  }}\n}}\n",
        quoted(loki)
    );
    Some(text)
}

/// A label's name, which has no quotes.
fn name(label: &str) -> String {
    label.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// A unit's name as a pattern that is nothing else.
fn literal(unit: &str) -> String {
    let kept = |c: &char| c.is_ascii_alphanumeric() || "-_.@+:".contains(*c);
    unit.chars().filter(kept).collect::<String>().replace('.', "\\.").replace('+', "\\+")
}

/// A label from another, where that matches or in any case.
fn rule(text: &mut String, from: &str, regex: Option<&str>, label: &str, value: &str) {
    let _ = write!(text, "\n  rule {{\n    source_labels = [{}]\n", quoted(from));
    if let Some(regex) = regex {
        let _ = writeln!(text, "    regex         = {}", quoted(regex));
    }
    let _ = write!(
        text,
        "    target_label  = {}\n    replacement   = {}\n  }}\n",
        quoted(&name(label)),
        quoted(value)
    );
}

/// A text as Alloy writes it, which is Go's way.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}
