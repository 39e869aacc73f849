//! The disk that tells a guest of somebody else's image, by cloud-init's `NoCloud`, who it is, and brings our agent.

use super::{Programs, iso};
use crate::debian::ImageError;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// What cloud-init looks for.
const LABEL: &str = "CIDATA";

/// What is on the disk.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// What the guest is to do, such as [`with_agent`].
    pub user_data: String,
    /// Who it is: `instance-id`, `local-hostname`.
    pub meta_data: String,
    /// Its network, if it is not to ask for that.
    pub network_config: Option<String>,
}

/// Writes the disk to `path`, with files besides.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, seed: &Seed, files: &[(&str, &[u8])]) -> Result<(), ImageError> {
    let mut all =
        vec![("user-data", seed.user_data.as_bytes()), ("meta-data", seed.meta_data.as_bytes())];
    all.extend(seed.network_config.iter().map(|network| ("network-config", network.as_bytes())));
    all.extend(files);
    let made = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        iso::write(&mut file, LABEL, &all)?;
        file.flush()
    });
    made.map_err(ImageError::at("write", path))
}

/// [`write()`] with the programs of ours beside, and what the agent is to know of its machine (the JSON of its `Config`).
///
/// # Errors
/// If they cannot be read, or the disk cannot be written.
pub fn write_with_agent(
    path: &Path,
    seed: &Seed,
    programs: &Programs,
    config: &[u8],
) -> Result<(), ImageError> {
    let read = |path: &Path| fs::read(path).map_err(ImageError::at("read", path));
    let (vm, hold) = (read(&programs.vm)?, read(&programs.hold)?);
    write(path, seed, &[("stead-vm", &vm), ("stead-hold", &hold), ("config.json", config)])
}

/// User data that installs the agent from the disk whenever the guest boots, then does `more` (YAML at the top).
pub fn with_agent(more: &str) -> String {
    format!("{AGENT}{more}")
}

/// It is installed at each boot, because a guest is started with whatever version of the programs is here by then.
const AGENT: &str = r#"#cloud-config
bootcmd:
  - - sh
    - -euc
    - |
      seed=$(mktemp -d)
      mount -o ro LABEL=CIDATA "$seed"
      mkdir -p /usr/local/lib/stead
      for program in stead-vm stead-hold; do
        cp "$seed/$program" "/usr/local/lib/stead/$program.next"
        chmod 755 "/usr/local/lib/stead/$program.next"
        mv "/usr/local/lib/stead/$program.next" "/usr/local/lib/stead/$program"
      done
      mkdir -p /run/stead
      cp "$seed/config.json" /run/stead/config.json
      umount "$seed"
      rmdir "$seed"
      cat >/etc/systemd/system/stead-agent.service <<'END'
      [Unit]
      Description=Agent of Stead
      [Service]
      ExecStart=/usr/local/lib/stead/stead-vm agent
      Restart=always
      [Install]
      WantedBy=multi-user.target
      END
      systemctl daemon-reload
      systemctl enable stead-agent.service
      systemctl start --no-block stead-agent.service
"#;
