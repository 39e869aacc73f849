//! Containers within the machine.

use super::super::{Act, Desired, vendor};
use crate::Whole;

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    if whole.system.containers.engine == "docker" {
        // Who is in its group is root; nobody is put there who does not say so.
        to.file(
            "/etc/docker/daemon.json",
            "{\n  \"live-restore\": true,\n  \"log-driver\": \"journald\",\n  \"no-new-privileges\": true\n}\n",
        );
        vendor::add("docker", whole, to);
        to.packaged("docker.service");
        to.rule("docker", &["/etc/docker/"], Act::Restart("docker.service".into())).check =
            super::super::words(&["dockerd", "--validate"]);
        return &["docker0"];
    }
    to.package(&[
        "podman",
        "podman-compose",
        "buildah",
        "uidmap",
        "slirp4netns",
        "fuse-overlayfs",
        "dbus-user-session",
        "netavark",
        "aardvark-dns",
    ]);
    &["podman*"]
}
