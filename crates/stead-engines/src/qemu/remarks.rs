//! What the engine has to say of a machine before anything is done.

use super::base::Base;
use super::core::Core;
use super::persist;
use crate::common::made;
use crate::common::state::read_state;
use std::path::Path;
use stead_box::spec::Limits;
use stead_file::size::Size;
use stead_machine::model::{Remark, Wanted};

impl Core {
    pub fn remarks(&self, wanted: &Wanted) -> Vec<Remark> {
        let declared = &wanted.declared;
        let mut remarks = Vec::new();
        let mut refuse = |text: String| remarks.push(Remark { refused: true, text });
        if let Err(why) = self.fits(wanted) {
            refuse(why.to_string());
        }
        let state = read_state::<Base>(&self.place, &wanted.name).ok().flatten();
        match &state {
            Some(state) => {
                if let Some(why) = self.mismatch(state, wanted) {
                    refuse(format!("image: {why}"));
                } else if let Err(why) = state.root.base.unchanged(&self.place) {
                    refuse(format!("image: {why}"));
                }
            }
            None => {
                if let Err(why) = self.check_image(wanted) {
                    refuse(format!("image: {why}"));
                }
            }
        }
        if let Ok(Some(why)) = self.shrinks(wanted) {
            refuse(why);
        }
        if declared.ephemeral && self.images.persist_size(wanted) < persist::LEAST {
            refuse("persist: less than 16 MiB is no file system worth having".into());
        }
        if declared.processes.is_some() {
            refuse(
                "processes: those of a virtual machine are its own kernel's, and not counted here: leave it out, and set \
                 limits inside"
                    .into(),
            );
        }
        if !declared.show.is_empty() {
            refuse(
                "show: a virtual machine sees nothing of this host: name what it is to see in `shares`".into(),
            );
        }
        let limits = Limits { processes: None, ..made::limits(declared) };
        if limits != Limits::default()
            && let Err(why) = self.can_limit_these(&limits)
        {
            refuse(format!("memory, cpus: {why}"));
        }
        remarks.extend(self.share_remarks(wanted));
        match self.lock_ports() {
            Ok(lock) => remarks.extend(self.free_ports(wanted, &lock).remarks),
            Err(e) => remarks.push(Remark { refused: true, text: format!("ports: {e}") }),
        }
        let mut warn = |text: String| remarks.push(Remark { refused: false, text });
        let base = state.map(|state| state.root.base).or_else(|| self.own_image(wanted)?.ok());
        if let (Some(base), Some(size)) = (base, declared.disk.filter(|_| !declared.ephemeral))
            && size.bytes() < base.size
        {
            warn(format!("disk: what it is made on has {}, so it gets as much", Size(base.size)));
        }
        remarks
    }

    fn check_image(&self, wanted: &Wanted) -> Result<(), String> {
        if wanted.declared.image == "host" {
            return Err(
                "a virtual machine cannot be made of this host: say which image, `debian/12` or the path of a disk's file"
                    .into(),
            );
        }
        match self.own_image(wanted) {
            Some(base) => base.map(drop),
            None => self.images.check(wanted),
        }
    }

    /// The base of a machine whose image is a person's own file.
    fn own_image(&self, wanted: &Wanted) -> Option<Result<Base, String>> {
        let image = Path::new(&wanted.declared.image);
        image
            .is_absolute()
            .then(|| Base::of(&self.place, &wanted.declared.image, &self.guest(wanted), image))
    }
}
