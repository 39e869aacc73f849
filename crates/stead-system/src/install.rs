//! What `nixos-anywhere` tells of an installation: the steps it announces, and what to do where one fails.
//!
//! Its steps are lines `### TEXT ###`; see <https://nix-community.github.io/nixos-anywhere/>.

use serde::Serialize;

/// How far an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The system is built, here or there, before anything is changed.
    Build,
    /// The target is reached and asked what it is.
    Connect,
    /// The target's kernel is replaced by an installer's.
    Kexec,
    /// Its disk is partitioned and formatted.
    Disko,
    /// The system is copied and installed.
    Install,
    /// It starts from its disk.
    Reboot,
    /// All is there.
    Done,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Build,
        Stage::Connect,
        Stage::Kexec,
        Stage::Disko,
        Stage::Install,
        Stage::Reboot,
        Stage::Done,
    ];

    /// The stage that a line announces.
    pub fn announced(line: &str) -> Option<Stage> {
        let step = line.trim().strip_prefix("### ")?.strip_suffix(" ###")?;
        let begins = |start: &str| step.starts_with(start);
        Some(if begins("Uploading install SSH keys") || begins("Gathering machine facts") {
            Stage::Connect
        } else if begins("Switching system into kexec") {
            Stage::Kexec
        } else if begins("Building disko script") || begins("Formatting hard drive") {
            Stage::Disko
        } else if begins("Uploading the system closure")
            || begins("Building the system closure")
            || begins("Copying extra files")
            || begins("Installing NixOS")
        {
            Stage::Install
        } else if begins("Rebooting") || begins("Waiting for the machine") {
            Stage::Reboot
        } else if begins("Done") {
            Stage::Done
        } else {
            return None;
        })
    }

    /// What is going on, for people.
    pub fn title(self) -> &'static str {
        match self {
            Stage::Build => "building the system",
            Stage::Connect => "connecting to the machine",
            Stage::Kexec => "starting the installer in its place",
            Stage::Disko => "partitioning and formatting its disk",
            Stage::Install => "installing NixOS",
            Stage::Reboot => "starting it from its disk",
            Stage::Done => "done",
        }
    }

    /// What a failure in it has left, and what to do.
    pub fn help(self) -> &'static str {
        match self {
            Stage::Build => {
                "nothing was changed: `nix build` of the rendered flake says what does not build; `stead system render` writes it"
            }
            Stage::Connect => {
                "nothing was changed: see that `ssh` reaches the address as root or as a user with sudo, and that it has tar and cpio"
            }
            Stage::Kexec => {
                "its disk is untouched: it needs about 1.5 GiB of memory and must not be a container; a restart brings its old system back"
            }
            Stage::Disko => {
                "its old system may be gone: see that `disk.device` is its disk (`lsblk` there), then install again; it waits in the installer"
            }
            Stage::Install => {
                "its disk is formatted and has no system yet: it waits in the installer, reached as root; install again"
            }
            Stage::Reboot | Stage::Done => {
                "NixOS is installed: if it does not come back, look at its console; its first start takes longer"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_belongs_to_a_stage_in_order() {
        let steps = [
            "Uploading install SSH keys",
            "Gathering machine facts",
            "Switching system into kexec",
            "Building disko script",
            "Formatting hard drive with disko",
            "Building the system closure",
            "Uploading the system closure",
            "Copying extra files",
            "Installing NixOS",
            "Rebooting",
            "Waiting for the machine to become unreachable due to reboot",
            "Done!",
        ];
        let stages: Vec<Stage> = steps
            .iter()
            .map(|step| Stage::announced(&format!("### {step} ###")).unwrap())
            .collect();
        assert!(stages.is_sorted(), "{stages:?}");
        let mut seen = stages;
        seen.dedup();
        assert_eq!(seen, Stage::ALL[1..]);
        assert_eq!(Stage::announced("# Rebooting"), None);
        assert_eq!(Stage::announced("### something else ###"), None);
    }
}
