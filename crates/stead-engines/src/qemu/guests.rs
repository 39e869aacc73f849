//! Images of Stead's own, for the engine.

use super::Programs;
use super::ground::{GuestBoot, arch_of};
use super::image::seed::{self, Seed};
use super::image::{self, GuestFiles, Request};
use super::images::Images;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use stead_file::declared::Guest;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};
use stead_vm::guest::config::{Config, Net};
use stead_vm::spec::{Arch, Board};

/// Debian, made of its packages.
pub struct Guests {
    folder: PathBuf,
    programs: image::Programs,
}

impl Guests {
    /// Images in this folder.
    pub fn new(folder: &Path, programs: &Programs) -> Self {
        let programs = image::Programs { vm: programs.vm.clone(), hold: programs.hold.clone() };
        Guests { folder: folder.to_owned(), programs }
    }

    fn files(&self, wanted: &Wanted, steps: &Steps) -> Result<GuestFiles> {
        made_here(wanted).map_err(EngineError::NotNow)?;
        image::ensure(&self.folder, &request(wanted), &self.programs, &|text| steps.note(text))
            .map_err(|e| EngineError::Failed(e.to_string()))
    }
}

/// Whether there is a way to make an image for a machine's processor.
fn made_here(wanted: &Wanted) -> std::result::Result<(), String> {
    match arch_of(wanted) {
        Arch::X86_64 => Ok(()),
        Arch::Aarch64 => Err(
            "images for aarch64 are not made yet: leave `arch` out, on a computer that is x86_64"
                .into(),
        ),
    }
}

fn request(wanted: &Wanted) -> Request<'_> {
    Request {
        name: &wanted.declared.image,
        guest: wanted.declared.qemu.guest,
        arch: arch_of(wanted),
    }
}

impl Images for Guests {
    fn guest(&self, wanted: &Wanted) -> String {
        let kind = match wanted.declared.qemu.guest {
            Guest::Light => "light",
            Guest::Full => "full",
        };
        match arch_of(wanted) {
            arch if arch == Arch::of_host() => kind.to_owned(),
            arch => format!("{kind}, {}", arch.name()),
        }
    }

    fn check(&self, wanted: &Wanted) -> std::result::Result<(), String> {
        made_here(wanted)?;
        image::check(&self.folder, &request(wanted)).map_err(|e| e.to_string())
    }

    fn ensure(&self, wanted: &Wanted, steps: &Steps) -> Result<PathBuf> {
        Ok(self.files(wanted, steps)?.base)
    }

    fn boot(&self, wanted: &Wanted, board: Board, steps: &Steps) -> Result<Option<GuestBoot>> {
        if Path::new(&wanted.declared.image).is_absolute() {
            return Ok(None);
        }
        let files = self.files(wanted, steps)?;
        let line = match wanted.declared.qemu.guest {
            Guest::Light => "quiet".to_owned(),
            Guest::Full => format!("quiet {}", image::masked::arguments()),
        };
        Ok(Some(GuestBoot {
            kernel: match board {
                Board::Microvm => files.kernel_microvm,
                Board::Q35 | Board::Virt => files.kernel_q35,
            },
            initramfs: files.initramfs,
            line,
            partition: files.partition,
        }))
    }

    fn seed(&self, wanted: &Wanted, config: &Config, path: &Path) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| EngineError::Failed(e.to_string());
        let seed = Seed {
            user_data: seed::with_agent(""),
            meta_data: format!("instance-id: {}\nlocal-hostname: {}\n", wanted.id, wanted.name),
            network_config: config.net.as_ref().map(network),
        };
        let config = serde_json::to_vec(config).map_err(|e| failed(&e))?;
        seed::write_with_agent(path, &seed, &self.programs, &config).map_err(|e| failed(&e))
    }

    fn root_size(&self, wanted: &Wanted) -> u64 {
        wanted.declared.vm_disk().bytes()
    }

    fn persist_size(&self, wanted: &Wanted) -> u64 {
        use stead_file::declared::Qemu;
        wanted.declared.qemu.persist_size.unwrap_or(Qemu::PERSIST_SIZE).bytes()
    }
}

/// A guest's network as cloud-init wants to be told: its format, version 2.
fn network(net: &Net) -> String {
    let mac = net.mac.as_deref().unwrap_or_default();
    let (address, prefix) = (net.address, net.prefix);
    let mut text = format!(
        "version: 2\nethernets:\n  net0:\n    match: {{ macaddress: \"{mac}\" }}\n    \
         addresses: [\"{address}/{prefix}\"]\n"
    );
    if let Some(gateway) = net.gateway {
        let _ = writeln!(text, "    routes: [{{ to: 0.0.0.0/0, via: {gateway}, on-link: true }}]");
    }
    let servers: Vec<String> = net.name_servers.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "    nameservers: {{ addresses: [{}] }}", servers.join(", "));
    text
}
