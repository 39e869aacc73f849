//! What QEMU gets.

use super::core::Core;
use super::layers::{Stack, file, layer_size, verify};
use crate::common::state::{Part, kept, machines_and_hidden, read_state};
use std::path::PathBuf;
use stead_file::declared::Format;
use stead_machine::engine::Result;

/// A disk of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What it is for, and its serial number inside: `root`, `persist`.
    pub serial: &'static str,
    /// The file that is opened.
    pub path: PathBuf,
    /// How it holds the disk; to be told to QEMU, which must not guess.
    pub format: Format,
    /// Whether nothing is written to it.
    pub readonly: bool,
    /// Bytes of the disk.
    pub size: u64,
    /// The files under it, topmost first: opened by QEMU, and never written to.
    pub under: Vec<PathBuf>,
}

/// The serial number of the disk that a part of a state is.
pub const fn serial(part: Part) -> &'static str {
    match part {
        Part::Root => "root",
        Part::Persist => "persist",
    }
}

impl Core {
    /// The disks of a machine, after a look at each file of them. A root that lies in memory is the base, not written to, and
    /// beside it what survives.
    pub fn disks(&self, name: &str) -> Result<Vec<Disk>> {
        let ephemeral = self.made(name)?.wanted.declared.ephemeral;
        let state = self.state(name)?;
        let mut disks = Vec::new();
        if ephemeral {
            state.root.base.guard(&self.place)?;
            disks.push(Disk {
                serial: "root",
                path: state.root.base.path(&self.place),
                format: state.root.base.format,
                readonly: true,
                size: state.root.base.size,
                under: Vec::new(),
            });
        } else {
            disks.push(self.disk("root", &state.root)?);
        }
        if let Some(persist) = state.persist.filter(|_| ephemeral) {
            disks.push(self.disk("persist", &persist)?);
        }
        Ok(disks)
    }

    fn disk(&self, serial: &'static str, stack: &Stack) -> Result<Disk> {
        verify(&self.place, stack)?;
        let mut under: Vec<PathBuf> =
            stack.frozen.iter().map(|layer| file(&self.place, layer)).collect();
        under.push(stack.base.path(&self.place));
        Ok(Disk {
            serial,
            path: file(&self.place, &stack.top),
            format: Format::Qcow2,
            readonly: false,
            size: layer_size(&self.place, &stack.top)?,
            under,
        })
    }

    /// The files that states and snapshots are made on.
    pub fn bases(&self) -> Result<Vec<PathBuf>> {
        let mut bases = Vec::new();
        for name in machines_and_hidden(&self.place)? {
            let state =
                read_state::<super::base::Base>(&self.place, &name)?.map(|state| state.under());
            let kept = kept::<super::base::Base>(&self.place, &name)?;
            for parts in state.into_iter().chain(kept.into_iter().map(|kept| kept.parts)) {
                let persist = parts.persist.iter();
                bases.extend(
                    std::iter::once(&parts.root)
                        .chain(persist)
                        .map(|frozen| frozen.base.path(&self.place)),
                );
            }
        }
        bases.sort();
        bases.dedup();
        Ok(bases)
    }
}
