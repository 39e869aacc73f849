//! A shell on the console of a machine that nobody keeps: who started it sits there.

use crate::failure::{Result, Tried};
use crate::guest::config::Config;
use crate::sys;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In a full guest, systemd has somebody log in there: root, without being asked who it is.
const GETTY: &str = "\
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --keep-baud 115200,57600,38400,9600 - $TERM
";

/// A root shell whose terminal is the console.
pub fn command(config: &Config) -> Result<Command> {
    let path = terminal();
    let tried = || path.display();
    let terminal = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(&path)
        .tried(tried)?;
    let shell = ["/bin/bash", "/bin/sh"].into_iter().find(|path| Path::new(path).exists());
    let mut shell = Command::new(shell.unwrap_or("/bin/sh"));
    shell.arg("-l").current_dir("/").env_clear();
    shell.env("HOME", "/root").env("TERM", "vt220").envs(&config.env);
    let clone = || terminal.try_clone().tried(tried);
    shell.stdin(clone()?).stdout(clone()?).stderr(clone()?);
    sys::lead_session(&mut shell, Some(terminal.into()));
    Ok(shell)
}

/// Has the systemd of a full guest log root in there.
pub fn put_getty() -> Result<()> {
    let name = terminal();
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let folder = format!("/run/systemd/system/serial-getty@{name}.service.d");
    std::fs::create_dir_all(&folder).tried(|| &folder)?;
    let file = format!("{folder}/stead.conf");
    std::fs::write(&file, GETTY).tried(|| &file)
}

/// What the kernel's console is.
fn terminal() -> PathBuf {
    let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    // The last is what `/dev/console` stands for.
    Path::new("/dev").join(active.split_whitespace().last().unwrap_or("ttyS0"))
}
