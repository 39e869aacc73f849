//! A light guest from the request to start it to the first command in it, beside the floor.

use super::floor::{self, Qemu};
use super::{Bench, Metric};
use crate::error::Result;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-boot",
        title: "A light guest from start to a command",
        how: "stead: the steward is asked over its socket to start a light guest (microvm, 256 MB, one processor) that \
              is there and stopped, and `stead exec MACHINE -- true` ends. floor: the very command line of that guest's \
              QEMU, without a sandbox and with its network card connected to nothing, and an initramfs whose only \
              program prints a line: until the line is there. They take turns. What was started is ended untimed.",
        ratios: &[("p50 ms", "floor"), ("least ms", "floor")],
    },
    measure,
};

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    ground.light("boot", &json!({}), &json!({}))?;
    let first = ground.stage().path("floor.cpio");
    floor::initramfs(&first)?;
    let qemu = Qemu::like(&ground.qemu("boot")?).with("-initrd", first.display().to_string());
    if let Some(accel) = qemu.value("-accel") {
        bench.note("stead", format!("QEMU runs with -accel {accel}"));
    }
    ground.tell("boot", "down")?;
    let (mut own, mut bare) = (Sample::default(), Sample::default());
    // The first round warms the caches.
    for round in 0..=bench.scale.boots {
        let ours = ground.start("boot")?;
        ground.tell("boot", "down")?;
        let floors = qemu.start(ground.stage())?.up()?;
        if round > 0 {
            own.push(ours);
            bare.push(floors);
        }
    }
    for (peer, sample) in [("stead", &own), ("floor", &bare)] {
        for (name, percent) in [("p50 ms", 50), ("p95 ms", 95), ("least ms", 0)] {
            bench.put(peer, name, sample.percentile(percent));
        }
    }
    Ok(())
}
