//! Warm start: new machines go on from the memory of one that has just booted.
//!
//! That one, the template, is a machine that nobody sees: made when the first machine of its kind is, booted with no identity
//! that matters, kept with its memory, and stopped. Of it stay layers and memory, as of a snapshot.

use super::base::Base;
use super::core::Core;
use super::disks::Disk;
use super::layers::{Parts, Sizes, State, Store};
use super::memory::{self, Shape};
use super::run::vm;
use crate::common::bounded::Run;
use crate::common::claim::Claim;
use crate::common::files::{self, Sync};
use crate::common::place::hash;
use crate::common::running;
use crate::common::state::{HIDDEN, Kept, Part};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use stead_file::declared::{Egress, Guest, Machine, Qemu};
use stead_machine::engine::Result;
use stead_machine::model::{NewSnapshot, Wanted};
use stead_machine::{EngineError, Steps};
use stead_vm::spec::{Disk as Given, Format};

/// The snapshot of a template that machines are made from.
const READY: &str = "ready";
/// Written whenever somebody was made from it.
const USED: &str = "used.json";
/// After how long a template goes that nobody was made from.
const UNUSED: Duration = Duration::from_hours(30 * 24);
/// How long another may take to make it.
const PATIENCE: Duration = Duration::from_mins(15);
/// How long after its agent is there everything else may take.
const SETTLED: Duration = Duration::from_mins(5);
/// Changed when what a template is does.
const EDITION: u32 = 1;

/// A template, which stays as long as this is held.
pub struct Template {
    name: String,
    /// What a machine that is made from it lies on.
    pub parts: Parts,
    _claim: Claim,
}

/// Why a machine boots, although it is to start warm.
fn boots(wanted: &Wanted) -> Option<&'static str> {
    let declared = &wanted.declared;
    if Path::new(&declared.image).is_absolute() {
        return Some("what an image of your own is doing when it has booted is not known");
    }
    if declared.ephemeral {
        return Some("its root lies in memory, and begins anew at each start");
    }
    (!declared.shares.is_empty()).then_some("it has shares, which are mounted when it boots")
}

impl Core {
    /// The template that a new machine is made from; `None` if it is not to start warm, or cannot.
    pub fn template(
        &self,
        wanted: &Wanted,
        base: &Base,
        steps: &Steps,
    ) -> Result<Option<Template>> {
        if !wanted.declared.qemu.warm {
            return Ok(None);
        }
        if let Some(why) = boots(wanted) {
            steps.note(&format!("it does not start warm: {why}"));
            return Ok(None);
        }
        let sizes = self.sizes(wanted);
        let template = self.neutral(wanted, base, sizes)?;
        let claim = self.claim_long(&template.name, steps)?;
        let usable = match self.kept(&template.name, READY) {
            Ok(kept) => self.whole(&template.name, &kept).then_some(kept),
            Err(_) => None,
        };
        let kept = match usable {
            Some(kept) => kept,
            None => self.boot_template(&template, base, sizes, steps, &claim)?,
        };
        files::write(&self.place.machine(&template.name).join(USED), &(), Sync::Later)?;
        Ok(Some(Template { name: template.name, parts: kept.parts, _claim: claim }))
    }

    /// Has a machine's next start go on from the memory of a template.
    pub fn resume_from_template(&self, name: &str, template: &Template) -> Result<()> {
        self.resume_from(name, &self.place.with_snapshot(&template.name, READY))
    }

    /// A machine like this one, without anything that is its own.
    fn neutral(&self, wanted: &Wanted, base: &Base, sizes: Sizes) -> Result<Wanted> {
        let declared = &wanted.declared;
        let mut neutral = Wanted {
            name: HIDDEN.into(),
            id: "0".repeat(32),
            declared: Machine {
                engine: declared.engine.clone(),
                image: declared.image.clone(),
                cpus: declared.cpus,
                memory: declared.memory,
                disk: declared.disk,
                egress: Egress::None,
                qemu: Box::new(Qemu {
                    warm: false,
                    allow_sensitive: Vec::new(),
                    ..(*declared.qemu).clone()
                }),
                ..Machine::default()
            },
            network: None,
            ..wanted.clone()
        };
        let shape = self.shape_of_new(&neutral, base, sizes)?;
        let told = serde_json::to_vec(&(EDITION, &shape, base, sizes.root, sizes.persist))
            .map_err(|e| EngineError::Failed(e.to_string()))?;
        let key = format!("{:016x}", hash(&told));
        neutral.name = format!("{HIDDEN}{key}");
        neutral.id = format!("{key}{:016x}", hash(key.as_bytes()));
        Ok(neutral)
    }

    /// The shape that a machine has when it starts for the first time.
    fn shape_of_new(&self, wanted: &Wanted, base: &Base, sizes: Sizes) -> Result<Shape> {
        let on = self.on_what(wanted, &Steps::none())?;
        let mut vm = vm::describe(self, wanted, &[], &on, false);
        vm.disks = vec![Given {
            serial: super::disks::serial(Part::Root).into(),
            path: Path::new("").into(),
            format: Format::Qcow2,
            readonly: false,
        }];
        Ok(Shape::of(&vm, &on, &[base.size.max(sizes.root)]))
    }

    /// Takes a template, which somebody may be making right now.
    fn claim_long(&self, name: &str, steps: &Steps) -> Result<Claim> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.claim(name) {
                Err(EngineError::NotNow(_)) if Instant::now() < until => steps.go_on()?,
                claim => return claim,
            }
        }
    }

    /// Whether a template can be used.
    fn whole(&self, name: &str, kept: &Kept<Base>) -> bool {
        let memory = memory::about(&self.place.with_snapshot(name, READY));
        kept.parts.root.base.unchanged(&self.place).is_ok()
            && matches!(memory, Ok(Some(about)) if about.parts == kept.parts)
    }

    fn boot_template(
        &self,
        template: &Wanted,
        base: &Base,
        sizes: Sizes,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<Kept<Base>> {
        let name = &template.name;
        steps.step("boot a template")?;
        self.clear_template(name, claim)?;
        let made = self.boot_and_keep(template, base, sizes, steps, claim);
        // What it was made by goes, whatever comes.
        let cleared = self.end_template(name, claim);
        if made.is_err() {
            let _ = self.clear_template(name, claim);
        }
        made?;
        cleared?;
        self.kept(name, READY)
    }

    fn boot_and_keep(
        &self,
        template: &Wanted,
        base: &Base,
        sizes: Sizes,
        steps: &Steps,
        claim: &Claim,
    ) -> Result<()> {
        let name = &template.name;
        let store = Store::lock(&self.place)?;
        let root = store.fresh(base.clone(), Part::Root, sizes)?;
        store.write(name, &State { root, persist: None })?;
        drop(store);
        self.write_made(template, false)?;
        let disks: Vec<Disk> = self.disks(name)?;
        self.run(template, &disks, false, &Steps::none(), claim)?;
        steps.go_on()?;
        if template.declared.qemu.guest == Guest::Full {
            self.settled(name, claim)?;
        }
        steps.step("keep the template with its memory")?;
        let asked = NewSnapshot { automatic: true, memory: true, ..NewSnapshot::named(READY) };
        self.snapshot_claimed(name, &asked, &Steps::none(), claim).map(drop)
    }

    /// Waits until all that is started at boot was.
    fn settled(&self, name: &str, claim: &Claim) -> Result<()> {
        let mut command = Command::new(&self.programs.vm);
        command.arg("exec").arg(self.keeper(name)?.join(stead_vm::files::AGENT));
        // That something of it failed is no reason not to go on.
        command.args(["--", "systemctl", "is-system-running", "--wait"]);
        let run = Run {
            what: "wait until the template has booted",
            claim: Some(claim),
            input: None,
            limit: Some(SETTLED),
            killable: true,
            package: None,
        };
        run.output(&mut command).map(drop)
    }

    /// Ends what a template was made by: what is kept of it stays.
    fn end_template(&self, name: &str, claim: &Claim) -> Result<()> {
        if let Some((run, _)) = running::find(&self.place, name)? {
            running::stop(&self.programs.sandbox, &run, 0, claim)?;
        }
        self.clear_sandbox(name)?;
        files::remove(&self.console(name))?;
        let store = Store::lock(&self.place)?;
        // With the record first: a machine without a state would keep every layer from being collected.
        self.forget(name)?;
        files::remove_file(&self.place.state(name))?;
        store.collect()?;
        Ok(())
    }

    /// Removes all there is of a template.
    fn clear_template(&self, name: &str, claim: &Claim) -> Result<()> {
        self.end_template(name, claim)?;
        let store = Store::lock(&self.place)?;
        files::remove(&self.place.machine(name))?;
        store.collect()?;
        Ok(())
    }

    /// Removes a template that was not finished, that nobody used for long, or whose image has changed.
    pub fn sweep_template(&self, name: &str, claim: &Claim) -> Result<Option<String>> {
        let used = self.place.machine(name).join(USED).metadata().and_then(|meta| meta.modified());
        let old = used
            .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|since| since > UNUSED));
        let usable = self.kept(name, READY).is_ok_and(|kept| self.whole(name, &kept));
        if usable && !old {
            return Ok(None);
        }
        self.clear_template(name, claim)?;
        let why = if usable { "nobody was made from it for 30 days" } else { "it is of no use" };
        Ok(Some(format!("a template for warm starts: {why}")))
    }
}
