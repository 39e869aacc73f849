//! The journal goes to Loki, by Grafana Alloy.

use super::{Act, Desired, vendor};
use crate::{Whole, alloy::alloy};

const PATH: &str = "/etc/alloy/stead.alloy";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let Some(text) = alloy(whole) else { return };
    vendor::add("alloy", whole, to);
    to.file(PATH, text);
    to.file(
        "/etc/systemd/system/alloy.service.d/10-stead.conf",
        format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/alloy run --storage.path=/var/lib/alloy/data {PATH}\n\
             SupplementaryGroups=systemd-journal\n"
        ),
    );
    to.packaged("alloy.service");
    // Its formatter is of a mind of its own; what it cannot read it says when it starts.
    to.rule("logs", &["/etc/alloy/"], Act::Restart("alloy.service".into()));
}
