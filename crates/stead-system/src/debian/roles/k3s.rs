//! A Kubernetes of one node.

use super::super::{Act, Desired};
use crate::{File, Whole};

pub(super) fn render(_: &Whole, to: &mut Desired) -> &'static [&'static str] {
    to.package(&["iptables", "conntrack"]);
    to.files.insert(
        "/etc/rancher/k3s/config.yaml".into(),
        File::private("write-kubeconfig-mode: \"0600\"\nsecrets-encryption: true\nprotect-kernel-defaults: true\n"),
    );
    // What protect-kernel-defaults asks for.
    to.file(
        "/etc/sysctl.d/61-stead-k3s.conf",
        "vm.panic_on_oom = 0\nvm.overcommit_memory = 1\nkernel.panic = 10\nkernel.panic_on_oops = 1\nnet.ipv4.ip_forward = 1\n",
    );
    to.task(
        "k3s",
        Some("/usr/local/bin/k3s"),
        &["sh", "-c", "curl -fsSL --retry 3 https://get.k3s.io | INSTALL_K3S_SKIP_START=true sh -"],
        &[
            "sh",
            "-c",
            "! [ -x /usr/local/bin/k3s-uninstall.sh ] || /usr/local/bin/k3s-uninstall.sh",
        ],
    );
    to.packaged("k3s.service");
    to.rule("k3s", &["/etc/rancher/"], Act::Restart("k3s.service".into()));
    &["cni0", "flannel.1"]
}
