//! Incus, with containers and virtual machines of its own.

use super::super::{Desired, vendor};
use crate::{File, Whole};

const PRESEED: &str = "\
networks:
- name: incusbr0
  type: bridge
  config:
    ipv4.address: auto
    ipv6.address: none
storage_pools:
- name: default
  driver: dir
profiles:
- name: default
  devices:
    eth0:
      name: eth0
      network: incusbr0
      type: nic
    root:
      path: /
      pool: default
      type: disk
";

pub(super) fn render(whole: &Whole, to: &mut Desired) -> &'static [&'static str] {
    vendor::add("incus", whole, to);
    to.files.insert("/etc/stead/incus.yaml".into(), File::new(PRESEED));
    to.task_after(
        "Incus' first settings",
        Some("/var/lib/incus/networks/incusbr0"),
        &["sh", "-c", "incus admin init --preseed < /etc/stead/incus.yaml"],
        &[],
    );
    to.packaged("incus.socket");
    &["incusbr0"]
}
