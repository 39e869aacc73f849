//! A full guest as Stead boots it, beside the same image by firmware and boot loader.

use super::floor::{Guest, Qemu};
use super::{Bench, Metric};
use crate::error::{Context, Error, Result};
use crate::peers::run;
use crate::report::Page;
use crate::sample::Sample;
use serde_json::json;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-full",
        title: "A full guest from start to a command",
        how: "stead: as a light guest, with the whole of Debian and 512 MB; `login` is until its console asks for a name, \
              whatever was asked before. untuned: a layer on the same image in the same QEMU with the same devices and \
              QEMU's own network, started by firmware and GRUB with nothing masked, until its console asks for a name. Each had booted and \
              been shut down before, and is shut down after each boot, untimed. They take turns.",
        ratios: &[("p50 ms", "untuned"), ("least ms", "untuned"), ("login p50 ms", "untuned")],
    },
    measure,
};

/// What the console says at the end of a boot.
const LOGIN: &str = "login:";

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    ground.full("full", &json!({}))?;
    let words = ground.qemu("full")?;
    ground.tell("full", "down")?;
    let disk = own_disk(&words)?;
    let base = backing(bench, Path::new(&disk))?;
    let layer = ground.stage().path("untuned.qcow2").display().to_string();
    let mut create = ground.stage().command("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &base, &layer]);
    run(create)?;
    let monitor = ground.stage().path("untuned.sock");
    let untuned = Qemu::like(&words)
        .replace(&disk, &layer)
        // Or it waits two minutes for a network that never comes.
        .replace("hubport,id=net,hubid=0", "user,id=net,restrict=on")
        .without("-kernel")
        .without("-initrd")
        .without("-append")
        .and("-monitor", format!("unix:{},server=on,wait=off", monitor.display()));
    let (mut own, mut logins, mut stock) =
        (Sample::default(), Sample::default(), Sample::default());
    for round in 0..=bench.scale.full_boots {
        let before = ground.console("full").map_or(0, |said| said.matches(LOGIN).count());
        let began = Instant::now();
        let ready = ground.start("full")?;
        let deadline = Instant::now() + Duration::from_mins(5);
        while ground.console("full")?.matches(LOGIN).count() == before {
            if Instant::now() > deadline {
                return Err(Error::new("a full guest never asked for a name"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let login = began.elapsed();
        ground.tell("full", "down")?;
        let mut guest = untuned.start(ground.stage())?;
        let up = guest.until(LOGIN)?;
        shut_down(&mut guest, &monitor)?;
        if round > 0 {
            own.push(ready);
            logins.push(login);
            stock.push(up);
        }
    }
    for (peer, sample) in [("stead", &own), ("untuned", &stock)] {
        for (name, percent) in [("p50 ms", 50), ("least ms", 0)] {
            bench.put(peer, name, sample.percentile(percent));
        }
    }
    for (peer, sample) in [("stead", &logins), ("untuned", &stock)] {
        bench.put(peer, "login p50 ms", sample.percentile(50));
    }
    Ok(())
}

/// The file of the disk that a machine writes to.
pub(super) fn own_disk(words: &[String]) -> Result<String> {
    let found = words.iter().find_map(|word| {
        let (_, rest) = word.split_once("driver=qcow2,")?.1.split_once("file.filename=")?;
        rest.split(',').next().map(str::to_owned)
    });
    found.ok_or_else(|| Error::new("a machine without a disk of its own"))
}

/// The image under all layers of a disk.
fn backing(bench: &Bench, disk: &Path) -> Result<String> {
    let mut info = bench.ground.stage().command("qemu-img");
    info.args(["info", "-U", "--backing-chain", "--output=json"]).arg(disk);
    let text = crate::peers::ask(info)?;
    let chain: Vec<serde_json::Value> = serde_json::from_str(&text).context("qemu-img")?;
    let last = chain.last().and_then(|image| image["filename"].as_str());
    last.map(str::to_owned).ok_or_else(|| Error::new("a disk without an image"))
}

/// Presses the power button, and waits until all is written and QEMU has ended.
fn shut_down(guest: &mut Guest, monitor: &Path) -> Result<()> {
    let mut stream = UnixStream::connect(monitor).context("QEMU's monitor")?;
    stream.write_all(b"system_powerdown\n")?;
    guest.ended(Duration::from_mins(2))
}
