//! What this host can do for virtual machines.

use super::Finding;
use std::io::ErrorKind;
use stead_engines::qemu;
use stead_engines::qemu::image::{self, Guest, Request};
use stead_hold::folder::Places;
use stead_vm::accel;
use stead_vm::spec::Arch;

const KVM: &str = "they run on this computer's processors (KVM)";

/// What there is, and of what is missing how it is had. None of it is needed by other machines.
pub fn findings(places: &Places) -> Vec<Finding> {
    let arch = Arch::of_host();
    let mut findings = Vec::new();
    match accel::qemu(arch) {
        Err(why) => findings.push(Finding::of("virtual machines: QEMU", Err(why))),
        Ok((qemu, version)) => {
            findings.push(Finding::of(format!("virtual machines: QEMU {version}"), Ok(())));
            let slow = |why| format!("{why}; they are emulated, some ten times slower");
            let finding = match qemu::kvm_as_tried(&places.runtime, arch) {
                Some(tried) => Finding::of(KVM, tried.map_err(slow)),
                // What a kernel meets is known once one was booted.
                None => match accel::kvm(&qemu, arch) {
                    Ok(()) => Finding {
                        why: "as far as a few instructions tell; the first that starts tries a kernel".into(),
                        ..Finding::of(KVM, Ok(()))
                    },
                    Err(why) => Finding::of(KVM, Err(slow(why))),
                },
            };
            findings.push(finding);
        }
    }
    findings.push(Finding::of("they have a network", tap()));
    findings.push(Finding::of("they share folders at full speed", virtiofsd()));
    let images = [Guest::Light, Guest::Full].into_iter().try_for_each(|guest| {
        let request = Request { name: stead_file::declared::Qemu::IMAGE, guest, arch };
        image::check(&qemu::images(&places.data), &request).map_err(|e| e.to_string())
    });
    findings.push(Finding::of("their images are there or can be made", images));
    findings
}

/// What guests' frames go through.
fn tap() -> Result<(), String> {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/net/tun");
    opened.map(drop).map_err(|e| match e.kind() {
        ErrorKind::NotFound => "there is no /dev/net/tun: `sudo modprobe tun`".into(),
        ErrorKind::PermissionDenied => {
            "/dev/net/tun is closed to you: `sudo chmod 666 /dev/net/tun`, as most systems have it"
                .into()
        }
        _ => format!("/dev/net/tun: {e}"),
    })
}

fn virtiofsd() -> Result<(), String> {
    qemu::virtiofsd().map(drop).ok_or_else(|| {
        "there is no virtiofsd, so QEMU does it itself (9p), which writes some four times slower: `apt install virtiofsd` \
         (from Debian 13 on) or `cargo install virtiofsd`"
            .into()
    })
}
