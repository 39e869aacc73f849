//! What a full guest does not start when we boot it: the agent has done it, or it is of no use in a guest.

/// Units, each with why it is not started.
pub const MASKED: [(&str, &str); 15] = [
    ("cloud-init-local.service", "the agent sets name, keys and network"),
    ("cloud-init.service", "as before"),
    ("cloud-init-network.service", "as before, by its later name"),
    ("cloud-init-main.service", "as before, by its later name"),
    ("cloud-config.service", "as before"),
    ("cloud-final.service", "as before"),
    ("cloud-init-hotplugd.socket", "as before"),
    ("systemd-networkd-wait-online.service", "the network is there before systemd is"),
    ("e2scrub_reap.service", "there is no LVM whose snapshots would be checked"),
    ("e2scrub_all.timer", "as before"),
    ("systemd-pstore.service", "there is no memory that keeps crashes; the keeper sees them"),
    ("modprobe@drm.service", "a screen is found by udev where there is one"),
    ("ldconfig.service", "the cache of libraries came with the image"),
    ("systemd-hwdb-update.service", "the hardware is QEMU's"),
    ("systemd-journal-catalog-update.service", "the catalogue came with the image"),
];

/// What the kernel's command line has for that.
pub fn arguments() -> String {
    MASKED.map(|(unit, _)| format!("systemd.mask={unit}")).join(" ")
}
