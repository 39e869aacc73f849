//! What an idle light guest takes of this computer's memory, beside the floor.

use super::floor::{self, Qemu};
use super::{Bench, Metric};
use crate::error::Result;
use crate::peers::settled;
use crate::processes::pss;
use crate::report::Page;
use serde_json::json;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-memory",
        title: "Memory of an idle light guest",
        how: "Proportional set size two seconds after it was up. stead: all processes of a light guest of 256 MB: QEMU, \
              its keeper, the sandbox's first process, and the one that serves the network. floor: QEMU alone, as in the \
              boot above. One after the other, so that neither shares anything with the other.",
        ratios: &[("all MB", "floor")],
    },
    measure,
};

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    ground.light("idle", &json!({}), &json!({}))?;
    let first = ground.stage().path("floor.cpio");
    floor::initramfs(&first)?;
    let words = ground.qemu("idle")?;
    settled();
    let all = ground.processes("idle")?;
    let is_qemu = |pid: &u32| {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|exe| exe.to_string_lossy().contains("qemu-system"))
    };
    let (qemus, others): (Vec<u32>, Vec<u32>) = all.iter().partition(|pid| is_qemu(pid));
    let mb = |pids: &[u32]| -> Result<Option<f64>> { Ok(Some(pss(pids)? as f64 / 1e6)) };
    bench.put("stead", "all MB", mb(&all)?);
    bench.put("stead", "QEMU MB", mb(&qemus)?);
    bench.put("stead", "beside QEMU MB", mb(&others)?);
    ground.tell("idle", "down")?;
    let qemu = Qemu::like(&words).with("-initrd", first.display().to_string());
    let mut guest = qemu.start(ground.stage())?;
    guest.up()?;
    settled();
    let own = mb(&[guest.pid()])?;
    bench.put("floor", "all MB", own);
    bench.put("floor", "QEMU MB", own);
    Ok(())
}
