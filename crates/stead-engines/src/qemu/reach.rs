//! Which ports of this host lead into a machine, and which folders it shares: looked at before it starts and when it does.

use super::core::Core;
use crate::common::files::{self, failed};
use crate::common::{made, running};
use std::fs::File;
use std::path::PathBuf;
use stead_file::declared::Port;
use stead_machine::engine::Result;
use stead_machine::model::{Remark, Wanted};
use stead_machine::vm::ports::{self, Free, Whose};
use stead_machine::vm::share;
use stead_machine::{EngineError, Steps};

/// Held by whoever looks which ports are free, until they are taken: looking takes each for a moment.
pub struct PortsLock(#[expect(dead_code, reason = "it is held")] File);

impl Core {
    /// Waits until nobody else looks at ports or takes them.
    pub fn lock_ports(&self) -> Result<PortsLock> {
        let path = self.place.probe().with_file_name("ports.lock");
        files::make(path.parent().unwrap_or(&path))?;
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
        lock.map(PortsLock).map_err(failed(path.display()))
    }

    /// The ports of a machine that are to be had, and what is said of the others.
    pub fn free_ports(&self, wanted: &Wanted, _: &PortsLock) -> Free {
        let declared = &wanted.declared;
        let desktop = declared.qemu.desktop.as_ref();
        let rdp = desktop.and_then(stead_file::declared::Desktop::rdp_port);
        let vnc = desktop.map(|desktop| {
            let at = desktop.vnc_at(wanted.number);
            // The port inside that is the screen.
            Port { address: at.ip(), host: at.port(), inside: 0, optional: desktop.vnc.is_none() }
        });
        let all: Vec<Port> = declared.ports.iter().cloned().chain(rdp).chain(vnc).collect();
        ports::free(&all, &|pid| self.whose(&wanted.name, pid))
    }

    /// The ports that a machine which is being started gets.
    pub fn take_ports(
        &self,
        wanted: &Wanted,
        lock: &PortsLock,
        steps: &Steps,
    ) -> Result<Vec<Port>> {
        let free = self.free_ports(wanted, lock);
        for Remark { refused, text } in free.remarks {
            if refused {
                return Err(EngineError::NotNow(text));
            }
            steps.note(&text);
        }
        Ok(free.ports)
    }

    /// Whose machine's network a process serves.
    fn whose(&self, own: &str, pid: u32) -> Whose {
        let machines = std::fs::read_dir(self.place.machines()).into_iter().flatten().flatten();
        let mut names = machines.filter_map(|entry| entry.file_name().into_string().ok());
        let serves = |name: &String| {
            let found = running::find(&self.place, name).ok().flatten();
            found.is_some_and(|(_, it)| it.net.is_some_and(|net| u32::try_from(net) == Ok(pid)))
        };
        match names.find(serves) {
            Some(name) if name == own => Whose::Own,
            Some(name) => Whose::Machine(name),
            None => Whose::Other,
        }
    }

    /// What stands in the way of a machine's shares.
    pub fn share_remarks(&self, wanted: &Wanted) -> Vec<Remark> {
        let declared = &wanted.declared;
        let mut remarks = share::remarks(declared);
        let allowed = &declared.qemu.allow_sensitive;
        for share in &declared.shares {
            if share::may_share(share, allowed).is_err() {
                continue;
            }
            match made::check_share(&self.place, share) {
                Err(why) => {
                    remarks.push(Remark { refused: true, text: format!("shares: {why}") });
                }
                Ok(()) => remarks
                    .extend(made::share_warning(share).map(|text| Remark { refused: false, text })),
            }
        }
        remarks
    }

    /// The folders that a machine shares, without links: where one leads may have changed since it was looked at.
    pub fn shared(&self, wanted: &Wanted) -> Result<Vec<PathBuf>> {
        let declared = &wanted.declared;
        let real = |share| {
            let real = share::may_share(share, &declared.qemu.allow_sensitive)
                .map_err(|why| EngineError::NotNow(why.to_string()))?;
            made::check_share(&self.place, share)
                .map_err(|why| EngineError::NotNow(format!("shares: {why}")))?;
            Ok(real)
        };
        declared.shares.iter().map(real).collect()
    }
}
