//! Whether guests run on this computer's own processors.
//!
//! That `/dev/kvm` opens says little: on some computers that are virtual themselves it makes machines that never get
//! anywhere. So a machine is booted that only says that it ran.

use crate::spec::Arch;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the machine may take: it has a few hundred instructions to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// What QEMU's exit device makes of the byte that the machine writes: twice it, and one.
const RAN: i32 = (0x2a << 1) | 1;
/// Rounds of the loop in [`firmware`]: nothing for a processor, long for one that is trapped at each step.
const ROUNDS: u16 = 0xffff;

/// Whether KVM works here, as far as a few hundred instructions tell.
///
/// # Errors
/// Why not, for people.
pub fn kvm(qemu: &Path, arch: Arch) -> Result<(), String> {
    if arch != Arch::of_host() {
        return Err(format!("the guest's processors are {}, this computer's are not", arch.name()));
    }
    File::options().read(true).write(true).open("/dev/kvm").map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            "there is no /dev/kvm: switch virtualisation on in the firmware, or nested virtualisation where this \
             computer is virtual itself"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "/dev/kvm is closed to you: join the group that owns it (`usermod -aG kvm $USER`)".to_owned()
        }
        _ => format!("/dev/kvm: {e}"),
    })?;
    if arch != Arch::X86_64 {
        return Ok(());
    }
    says_that_it_ran(qemu, "kvm", "host").unwrap_or_else(|e| Err(e.to_string()))
}

/// Whether KVM works for this kernel, which must get as far as its first program, `/init` of stead.
///
/// # Errors
/// Why not, for people.
pub fn kvm_boots(qemu: &Path, arch: Arch, kernel: &Path, initramfs: &Path) -> Result<(), String> {
    kvm(qemu, arch)?;
    gets_to_init(qemu, "kvm", "host", kernel, initramfs).unwrap_or_else(|e| Err(e.to_string()))
}

fn says_that_it_ran(qemu: &Path, accel: &str, cpu: &str) -> io::Result<Result<(), String>> {
    let mut rom = tempfile()?;
    rom.0.write_all(&firmware())?;
    let mut child = machine(qemu, accel, cpu)
        .args(["-m", "16m", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios"])
        .arg(&rom.1)
        .stderr(Stdio::piped())
        .spawn()?;
    let pidfd = rustix::process::pidfd_open(
        rustix::process::Pid::from_child(&child),
        rustix::process::PidfdFlags::empty(),
    )?;
    if !readable(&pidfd, Instant::now() + PATIENCE)? {
        child.kill()?;
        child.wait()?;
        return Ok(Err(slow("a machine that only says that it runs did not")));
    }
    let status = child.wait()?;
    if status.code() == Some(RAN) {
        return Ok(Ok(()));
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr {
        let _ = stderr.read_to_string(&mut said);
    }
    let why = said.lines().last().map_or_else(|| status.to_string(), str::to_owned);
    Ok(Err(format!("/dev/kvm is there, but no machine runs on it: {why}")))
}

fn gets_to_init(
    qemu: &Path,
    accel: &str,
    cpu: &str,
    kernel: &Path,
    initramfs: &Path,
) -> io::Result<Result<(), String>> {
    let mut child = machine(qemu, accel, cpu)
        .args(["-m", "256m", "-chardev", "stdio,id=console", "-serial", "chardev:console"])
        .args(["-append", "console=ttyS0 panic=-1 quiet", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdout(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    let mut console = child.stdout.take().ok_or_else(|| io::Error::other("no console"))?;
    let outcome = loop {
        if !readable(&console, deadline)? {
            break Err(slow("a guest's kernel did not get as far as its first program"));
        }
        let mut bytes = [0; 4096];
        let count = console.read(&mut bytes)?;
        said.extend_from_slice(&bytes[..count]);
        if said.windows(INIT.len()).any(|part| part == INIT) {
            break Ok(());
        }
        if count == 0 || said.len() > 1 << 20 {
            let last = String::from_utf8_lossy(&said);
            let last = last.lines().last().unwrap_or_default().trim();
            break Err(format!("/dev/kvm is there, but a guest's kernel ended: {last}"));
        }
    };
    let _ = child.kill();
    child.wait()?;
    Ok(outcome)
}

/// What stead's `/init` begins each line with.
const INIT: &[u8] = b"stead: ";

fn machine(qemu: &Path, accel: &str, cpu: &str) -> Command {
    let mut command = Command::new(qemu);
    command
        .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"])
        .args(["-machine", "q35", "-accel", accel, "-cpu", cpu])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn slow(what: &str) -> String {
    format!("/dev/kvm is there, but {what} within {} s", PATIENCE.as_secs())
}

/// Waits until there is something to read; false if it is too late.
fn readable(fd: &impl std::os::fd::AsFd, deadline: Instant) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = rustix::time::Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

/// A firmware of its own, so that nothing else must be there: it counts for a while and writes 0x2a to the exit device.
fn firmware() -> Vec<u8> {
    const SIZE: usize = 64 << 10;
    const CODE: usize = SIZE - 256;
    /// Where a processor begins.
    const RESET: usize = SIZE - 16;
    let [low, high] = ROUNDS.to_le_bytes();
    let code = [
        0xfa, // cli
        0xb9, low, high, // mov cx, ROUNDS
        0x49, // dec cx
        0x75, 0xfd, // jnz, back to dec
        0xb0, 0x2a, // mov al, 0x2a
        0xe6, 0xf4, // out 0xf4, al
        0xf4, // hlt
        0xeb, 0xfd, // jmp, back to hlt
    ];
    let mut rom = vec![0; SIZE];
    rom[CODE..CODE + code.len()].copy_from_slice(&code);
    // jmp to the code: from the end of these three bytes.
    let back = (CODE as i32 - (RESET as i32 + 3)) as i16;
    let [low, high] = back.to_le_bytes();
    rom[RESET..RESET + 3].copy_from_slice(&[0xe9, low, high]);
    rom
}

/// A file without a name, and a path by which a child opens it while this process lives.
fn tempfile() -> io::Result<(File, PathBuf)> {
    use std::os::fd::AsRawFd;
    let fd = rustix::fs::memfd_create("probe", rustix::fs::MemfdFlags::empty())?;
    let file = File::from(fd);
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((file, path.into()))
}

/// The program that plays machines of this architecture, and its version.
///
/// # Errors
/// If it is not there, or too old.
pub fn qemu(arch: Arch) -> Result<(PathBuf, String), String> {
    let name = format!("qemu-system-{}", arch.name());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from))
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file());
    let package = if arch == Arch::X86_64 { "qemu-system-x86" } else { "qemu-system-arm" };
    let Some(program) = found else {
        return Err(format!(
            "{name} is missing: `apt install {package}`, of a release that has QEMU {LEAST} or later (Debian 12: its backports)"
        ));
    };
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said
        .lines()
        .next()
        .and_then(|line| line.split_whitespace().nth(3))
        .unwrap_or("")
        .to_owned();
    let major: u32 = version.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    if major < LEAST {
        return Err(format!(
            "{} is QEMU {version}: {LEAST} or later is needed (Debian 12 has it in its backports)",
            program.display()
        ));
    }
    Ok((program, version))
}

/// The first release that keeps memory in a file in the way that this relies on, all of it.
const LEAST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_is_booted_says_that_it_ran() {
        let (program, _) = match qemu(Arch::X86_64) {
            Ok(found) => found,
            Err(why) => return println!("skipped: {why}"),
        };
        assert_eq!(says_that_it_ran(&program, "tcg", "max").unwrap(), Ok(()));
    }

    #[test]
    fn whether_kvm_works_is_known_in_bounded_time() {
        let (program, _) = match qemu(Arch::X86_64) {
            Ok(found) => found,
            Err(why) => return println!("skipped: {why}"),
        };
        // Whatever the answer here, it is one, with a reason.
        if let Err(why) = kvm(&program, Arch::X86_64) {
            assert!(why.contains("/dev/kvm"), "{why}");
        }
        let why = kvm(&program, Arch::Aarch64).unwrap_err();
        assert!(why.contains("aarch64"), "{why}");
    }
}
