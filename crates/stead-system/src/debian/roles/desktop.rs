//! A screen that is reached by RDP.

use super::super::{Act, Desired};
use crate::{File, Whole};

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    let own = &whole.system.desktop;
    to.package(&["xrdp", "xorgxrdp", "firefox-esr", "dbus-x11", "fonts-noto-core"]);
    let session = if own.environment == "plasma" {
        to.package(&["plasma-desktop", "plasma-workspace", "konsole", "dolphin"]);
        "startplasma-x11"
    } else {
        to.package(&["xfce4", "xfce4-terminal", "xfce4-goodies"]);
        "startxfce4"
    };
    to.files.insert(
        "/usr/local/lib/stead/xrdp-session".into(),
        File::program(format!(
            "#!/bin/sh\n# What RDP shows.\nexec dbus-run-session -- {session}\n"
        )),
    );
    // Its own file is the package's; this one is beside it and names the port and who may come.
    to.file(
        "/etc/systemd/system/xrdp.service.d/10-stead.conf",
        format!("[Service]\nExecStart=\nExecStart=/usr/sbin/xrdp --port {}\n", own.rdp),
    );
    to.file(
        "/etc/systemd/system/xrdp-sesman.service.d/10-stead.conf",
        "[Service]\nBindReadOnlyPaths=/usr/local/lib/stead/xrdp-session:/etc/xrdp/startwm.sh\n",
    );
    to.packaged("xrdp.service");
    to.packaged("xrdp-sesman.service");
    to.rule(
        "desktop",
        &["/usr/local/lib/stead/xrdp-session"],
        Act::Restart("xrdp-sesman.service".into()),
    );
    to.remarks.push("RDP asks for a password: set one inside with `passwd` for who uses it".into());
    &[]
}
