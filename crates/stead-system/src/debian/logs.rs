//! The journal goes to Loki, by Grafana Alloy.

use super::{Act, Desired, quote, vendor};
use crate::Whole;
use std::collections::BTreeSet;

const PATH: &str = "/etc/alloy/stead.alloy";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let Some(loki) = &whole.system.logs.loki else { return };
    vendor::add("alloy", whole, to);
    let label = |name: &str| -> String {
        name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut rules = String::new();
    let mut rule = |from: &str, to: &str| {
        rules += &format!(
            "  rule {{\n    source_labels = [{}]\n    target_label  = {}\n  }}\n",
            quote::c(from),
            quote::c(to)
        );
    };
    rule("__journal__systemd_unit", "unit");
    rule("__journal_priority_keyword", "level");
    let own: BTreeSet<String> = whole
        .system
        .services
        .values()
        .flat_map(|service| service.labels.keys())
        .map(|name| label(name))
        .collect();
    for name in own {
        rule(&format!("__journal_stead_{}", name.to_lowercase()), &name);
    }
    let mut labels = format!("    host = {},\n", quote::c(&whole.hostname()));
    for (name, value) in &whole.system.logs.labels {
        labels += &format!("    {} = {},\n", label(name), quote::c(value));
    }
    to.file(
        PATH,
        format!(
            "loki.relabel \"journal\" {{\n  forward_to = []\n{rules}}}\n\n\
             loki.source.journal \"journal\" {{\n  relabel_rules = loki.relabel.journal.rules\n  \
             forward_to    = [loki.write.loki.receiver]\n  labels = {{\n{labels}  }}\n}}\n\n\
             loki.write \"loki\" {{\n  endpoint {{\n    url = {}\n  }}\n}}\n",
            quote::c(&quote::plain(loki))
        ),
    );
    to.file(
        "/etc/systemd/system/alloy.service.d/10-stead.conf",
        format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/alloy run --storage.path=/var/lib/alloy/data {PATH}\n\
             SupplementaryGroups=systemd-journal\n"
        ),
    );
    to.packaged("alloy.service");
    let rule = to.rule("logs", &["/etc/alloy/"], Act::Restart("alloy.service".into()));
    rule.check = super::words(&["alloy", "fmt", "--test", PATH]);
    // Its formatter is of a mind of its own; what it cannot read it says when it starts.
    rule.check.clear();
}
