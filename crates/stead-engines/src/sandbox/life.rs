//! Starting and stopping machines.

use super::core::Core;
use super::{disk, made};
use crate::common::bounded::Run;
use crate::common::claim::Claim;
use crate::common::files::{self, Sync};
use crate::common::{Standing, running};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use stead_box::hide;
use stead_box::spec::Base;
use stead_machine::engine::Result;
use stead_machine::model::Wanted;
use stead_machine::{EngineError, Steps};

/// Seconds that processes inside have to end.
const GRACE: u32 = 5;
/// How long the making of host keys may take: what runs is the machine's.
const KEYS: Duration = Duration::from_secs(30);

impl Core {
    pub fn start(&self, wanted: &Wanted, steps: &Steps) -> Result<()> {
        let claim = self.claim(&wanted.name)?;
        self.start_claimed(wanted, steps, &claim)
    }

    pub fn start_claimed(&self, wanted: &Wanted, steps: &Steps, claim: &Claim) -> Result<()> {
        let name = &wanted.name;
        let made = self.made(name)?;
        match self.standing(name)? {
            Standing::Up => return Ok(()),
            Standing::Ending => self.stop_claimed(name, steps, claim)?,
            Standing::Left => self.clear(name, claim)?,
            Standing::Down => {}
        }
        self.fits(wanted)?;
        let disk = self.ensure_disk(wanted, steps, claim)?;
        if let Err(e) = self.run(wanted, steps, claim) {
            // Stopped, with nothing left over; what went wrong first is what is told.
            let _ = self.clear(name, claim);
            return Err(e);
        }
        disk.keep();
        if made.reseed {
            steps.step("make host keys of its own")?;
            self.make_host_keys(name);
            self.write_made(&made.wanted, false)?;
        }
        self.tell_peers(wanted);
        Ok(())
    }

    fn run(&self, wanted: &Wanted, steps: &Steps, claim: &Claim) -> Result<()> {
        let name = &wanted.name;
        let state = self.state(name)?;
        steps.step("hide what is secret")?;
        let base = self.base(wanted, steps)?;
        for path in wanted.declared.persist.iter().filter(|_| wanted.declared.ephemeral) {
            files::make(&self.place.persist(name).join(made::folder_name(path)))?;
        }
        if let Base::Host { cover, .. } = &base {
            // So that it is not swept while it is in use.
            files::write(&self.place.run(name).join(running::COVER), cover, Sync::Later)?;
        }
        let peers = self.peers(wanted)?;
        let mut spec =
            made::spec(&self.place, &self.programs, wanted, &state, base, peers, self.root);
        if wanted.declared.ephemeral {
            // The identity lies in the topmost layer, to which nothing is written then.
            spec.layers.insert(0, self.place.layer(&state.root.top));
        }
        steps.step("start it")?;
        let running = running::start(&self.programs.sandbox, &spec, claim)?;
        for note in &running.notes {
            steps.note(note);
        }
        Ok(())
    }

    /// Makes ssh host keys inside, where there is a program for it. A machine without an ssh server needs none.
    fn make_host_keys(&self, name: &str) {
        let mut command = self.command(&self.place.run(name));
        command.args(["--", "/bin/sh", "-c", "command -v ssh-keygen >/dev/null && ssh-keygen -A"]);
        let run = Run {
            what: "make host keys",
            claim: None,
            input: None,
            limit: Some(KEYS),
            killable: true,
            package: None,
        };
        let _ = run.output(&mut command);
    }

    /// `stead-box exec` for the machine with this run folder, without options.
    pub fn command(&self, run: &Path) -> Command {
        let mut command = Command::new(&self.programs.sandbox);
        command.arg("exec").arg(run);
        command
    }

    fn base(&self, wanted: &Wanted, steps: &Steps) -> Result<Base> {
        if wanted.declared.image != "host" {
            return Ok(Base::Folder(self.image(&wanted.declared.image, steps)?));
        }
        Ok(Base::Host { cover: self.cover()?, show: wanted.declared.show.clone() })
    }

    fn cover(&self) -> Result<PathBuf> {
        let host = hide::Host { root: "/".into(), userxattr: !self.root };
        let cover = hide::cover(&self.place.covers(), &host)
            .map_err(|e| EngineError::Failed(e.to_string()))?;
        Ok(cover.path)
    }

    /// What a state of this image is compared with, topmost first.
    pub fn base_folders(&self, image: &str) -> Result<Vec<PathBuf>> {
        if image == "host" {
            Ok(vec![self.cover()?, "/".into()])
        } else {
            Ok(vec![self.image(image, &Steps::none())?])
        }
    }

    pub fn stop(&self, name: &str, steps: &Steps) -> Result<()> {
        if self.anothers(name)?.is_some() {
            return Ok(());
        }
        let claim = self.claim(name)?;
        self.stop_claimed(name, steps, &claim)
    }

    pub fn stop_claimed(&self, name: &str, steps: &Steps, claim: &Claim) -> Result<()> {
        self.halt(&self.programs.sandbox, name, GRACE, steps, claim)?;
        disk::release(&self.place, name, claim)
    }

    /// Removes what is left of a machine that does not run, and the mount of its disk.
    fn clear(&self, name: &str, claim: &Claim) -> Result<()> {
        self.clear_sandbox(name)?;
        disk::release(&self.place, name, claim)
    }
}
