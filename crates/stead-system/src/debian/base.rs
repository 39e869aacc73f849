//! Name, time, language, updates, the audit log, the kernel's settings.

use super::{Act, Desired, Repository, quote};
use crate::Whole;
use stead_file::declared::{Arch, Updates};

/// What the kernel is told of every machine.
const SYSCTL: &str = "\
# What no program here needs to know, or to do. A container may not set all of it, and need not.
-kernel.dmesg_restrict = 1
-kernel.kptr_restrict = 2
-kernel.unprivileged_bpf_disabled = 1
-kernel.yama.ptrace_scope = 1
-fs.protected_fifos = 2
-fs.protected_regular = 2
-fs.protected_hardlinks = 1
-fs.protected_symlinks = 1
-net.ipv4.conf.all.accept_redirects = 0
-net.ipv4.conf.default.accept_redirects = 0
-net.ipv4.conf.all.send_redirects = 0
-net.ipv6.conf.all.accept_redirects = 0
-net.ipv6.conf.default.accept_redirects = 0
-net.ipv4.conf.all.accept_source_route = 0
-net.ipv4.tcp_syncookies = 1
";

/// What is noted of what happens.
const AUDIT: &str = "\
# Who becomes somebody else, who changes who may come in, and what root is made to run.
-w /etc/passwd -p wa -k identity
-w /etc/group -p wa -k identity
-w /etc/shadow -p wa -k identity
-w /etc/sudoers -p wa -k privilege
-w /etc/sudoers.d/ -p wa -k privilege
-w /etc/ssh/ -p wa -k ssh
-w /etc/systemd/system/ -p wa -k units
-w /run/secrets/ -p r -k secrets
-a always,exit -F arch=b64 -S execve -F euid=0 -F auid>=1000 -F auid!=unset -k as-root
";

const GROW: &str = "/usr/local/lib/stead/grow";

/// Takes what a disk has gained. A root that is not on a disk of its own stays what it is.
const GROWS: &str = "\
#!/bin/sh
# The root takes what its disk has gained.
set -eu
root=$(findmnt -nfo SOURCE /)
case $root in
/dev/*) root=$(readlink -f \"$root\") ;;
*) exit 0 ;;
esac
part=/sys/class/block/${root##*/}/partition
if [ -e \"$part\" ]; then
    # Status 1 is that there was nothing to gain.
    growpart \"/dev/$(lsblk -ndo PKNAME \"$root\")\" \"$(cat \"$part\")\" || [ $? = 1 ]
fi
case $(findmnt -nfo FSTYPE /) in
ext4) resize2fs \"$root\" ;;
btrfs) btrfs filesystem resize max / ;;
xfs) xfs_growfs / ;;
esac
";

pub(super) fn render(whole: &Whole, to: &mut Desired) {
    let system = &whole.system;
    to.package(&["ca-certificates", "curl", "sudo", "dbus", "libnss-myhostname"]);
    to.file("/etc/hostname", format!("{}\n", quote::name(&whole.hostname())));
    to.rule(
        "name",
        &["/etc/hostname"],
        Act::Run(super::words(&["hostname", "-F", "/etc/hostname"])),
    );

    let zone = quote::plain(&system.timezone).replace("..", "");
    to.package(&["tzdata"]);
    to.file("/etc/timezone", format!("{zone}\n"));
    to.links.insert("/etc/localtime".into(), format!("/usr/share/zoneinfo/{zone}").into());

    let locale = quote::plain(&system.locale);
    to.file("/etc/default/locale", format!("LANG={locale}\n"));
    if !matches!(locale.as_str(), "C" | "POSIX" | "C.UTF-8" | "C.utf8") {
        to.package(&["locales"]);
        let (form, set) = locale.split_once('.').unwrap_or((&locale, "UTF-8"));
        let name = format!("{form}.{}", set.to_lowercase().replace('-', ""));
        let made = format!("/usr/lib/locale/{name}");
        to.task(
            format!("locale {locale}"),
            Some(&made),
            &["localedef", "--no-archive", "-i", form, "-f", set, &made],
            &["rm", "-rf", &made],
        );
    }

    to.file("/etc/sysctl.d/60-stead.conf", SYSCTL);
    let sysctl = super::words(&["/lib/systemd/systemd-sysctl"]);
    to.rule("sysctl", &["/etc/sysctl.d/"], Act::Run(sysctl));

    if system.ssm {
        ssm(system.arch, to);
    }
    updates(system.updates, to);
    if system.audit_log {
        to.package(&["auditd"]);
        to.files.insert(
            "/etc/audit/rules.d/10-stead.rules".into(),
            crate::File { text: AUDIT.into(), mode: 0o640 },
        );
        to.packaged("auditd.service");
        to.rule(
            "audit",
            &["/etc/audit/rules.d/"],
            Act::Run(super::words(&["augenrules", "--load"])),
        );
    }
    to.packages.extend(
        system.packages.iter().chain(&system.debian.packages).map(|name| quote::name(name)),
    );
    for name in &system.secrets {
        to.reads(name, None);
    }
    // The copy that survives a restart is put back before anything reads it.
    let mut copies = String::from("d /run/secrets 0700 root root -\n");
    for name in whole.secrets() {
        let name = quote::name(name);
        copies += &format!(
            "C /run/secrets/{name} 0400 root root - /var/lib/stead-system/secrets/{name}\n"
        );
    }
    to.file("/etc/tmpfiles.d/stead-secrets.conf", copies);
    if system.disk.impermanent {
        to.remarks.push("a root in memory is for NixOS; here the disk stays what it is".into());
    }
    if system.disk.grow {
        grow(to);
    }
}

/// As cloud-init does it where there is one.
fn grow(to: &mut Desired) {
    to.package(&["cloud-guest-utils"]);
    to.files.insert(GROW.into(), crate::File::program(GROWS));
    to.unit(
        "stead-grow.service",
        format!(
            "[Unit]\nDescription=Grows the root to the size of its disk\nConditionVirtualization=!container\n\n\
             [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={GROW}\n\n[Install]\nWantedBy=multi-user.target\n"
        ),
    );
    to.started("stead-grow.service", "multi-user.target", true);
}

/// The way in of AWS. Its maker has no source of packages for Debian, but the package.
fn ssm(arch: Arch, to: &mut Desired) {
    let arch = if arch == Arch::Aarch64 { "arm64" } else { "amd64" };
    let address = format!(
        "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/latest/debian_{arch}/amazon-ssm-agent.deb"
    );
    let script = "file=$(mktemp) && trap 'rm -f \"$file\"' EXIT && \
                  curl -fsSL --retry 3 -o \"$file\" -- \"$1\" && dpkg -i \"$file\"";
    to.task(
        "agent of AWS Systems Manager",
        Some("/usr/bin/amazon-ssm-agent"),
        &["sh", "-c", script, "fetch", &address],
        &["apt-get", "purge", "-y", "amazon-ssm-agent"],
    );
    to.packaged("amazon-ssm-agent.service");
}

fn updates(updates: Updates, to: &mut Desired) {
    let path = "/etc/apt/apt.conf.d/52-stead-updates";
    if updates == Updates::Off {
        to.file(path, "APT::Periodic::Unattended-Upgrade \"0\";\n");
        return;
    }
    to.package(&["unattended-upgrades"]);
    let mut text = String::from(
        "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n\
         Unattended-Upgrade::Automatic-Reboot \"false\";\n#clear Unattended-Upgrade::Origins-Pattern;\n\
         Unattended-Upgrade::Origins-Pattern {\n    \
         \"origin=Debian,codename=${distro_codename},label=Debian-Security\";\n    \
         \"origin=Debian,codename=${distro_codename}-security,label=Debian-Security\";\n",
    );
    if updates == Updates::All {
        text += "    \"origin=Debian,codename=${distro_codename},label=Debian\";\n    \
                 \"origin=Debian,codename=${distro_codename}-updates\";\n";
    }
    to.file(path, text + "};\n");
    to.packaged("unattended-upgrades.service");
    for timer in ["apt-daily.timer", "apt-daily-upgrade.timer"] {
        to.packaged(timer);
    }
}

impl Desired {
    /// Packages of somebody else's source.
    pub(super) fn repository(&mut self, name: &str, repository: Repository) {
        let there = self.repositories.entry(name.into()).or_insert_with(|| repository.clone());
        there.packages.extend(repository.packages);
    }
}
