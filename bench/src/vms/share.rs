//! How fast a shared folder is.

use super::floor::{Archive, Qemu};
use super::{Bench, Metric};
use crate::error::{Context, Error, Result};
use crate::peers::ask;
use crate::report::Page;
use crate::stage::which;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "vm-share",
        title: "A shared folder",
        how: "`dd` of 256 MB (at full scale) by pieces of 1 MB to a folder of this host that a light guest shares, with \
              fsync, and back with an empty cache; the best of the runs, by the guest's clock. stead: by virtiofsd in the \
              machine's sandbox. bare: the same virtiofsd outside, and the same QEMU with an initramfs of the same \
              kernel's modules and busybox. stead by 9p: where there is no virtiofsd. They take turns.",
        ratios: &[("write MB/s", "bare"), ("read MB/s", "bare")],
    },
    measure,
};

const INSIDE: &str = "/mnt/share";
/// `t COMMAND...` runs it and says how long that took. Not every dd does.
const TIMED: &str = "u() { read a b </proc/uptime; echo $((${a%.*} * 100 + 1${a#*.} - 100)); }\n\
    t() { s=$(u); \"$@\" 2>/dev/null; d=$(($(u) - s)); echo \"took: $((d / 100)).$((d % 100 / 10))$((d % 10)) s\"; }\n";

fn measure(bench: &mut Bench) -> Result<()> {
    let ground = bench.ground;
    let folder = ground.stage().path("shared");
    std::fs::create_dir(&folder)?;
    let shares = json!({ "shares": [{ "host": folder, "inside": INSIDE, "writable": true }] });
    ground.light("share", &json!({}), &shares)?;
    let words = ground.qemu("share")?;
    let peer = if words.iter().any(|word| word.starts_with("vhost-user-fs")) {
        "stead"
    } else {
        bench.note("stead", "there is no virtiofsd on PATH: the share is by 9p");
        "stead by 9p"
    };
    let bare = (peer == "stead").then(|| Bare::new(bench, &words, &folder)).transpose()?;
    let megabytes = bench.scale.megabytes;
    let mut best = [[0.0_f64; 2]; 2];
    for _ in 0..=bench.scale.transfers {
        let script = format!(
            "{TIMED}cd {INSIDE}; t dd if=/dev/zero of=f bs=1M count={megabytes} conv=fsync; \
             echo 3 >/proc/sys/vm/drop_caches; t dd if=f of=/dev/null bs=1M; rm f"
        );
        let said = ask(ground.inner.stead(&["exec", "share", "--", "sh", "-c", &script]))?;
        keep(&mut best[0], &said, megabytes)?;
        if let Some(bare) = &bare {
            keep(&mut best[1], &bare.run(bench)?, megabytes)?;
        }
    }
    for (peer, [write, read]) in [peer, "bare"].into_iter().zip(best) {
        if write > 0.0 {
            bench.put(peer, "write MB/s", Some(write));
            bench.put(peer, "read MB/s", Some(read));
        }
    }
    Ok(())
}

/// Takes the two times that were told, if they are better.
fn keep(best: &mut [f64; 2], said: &str, megabytes: u64) -> Result<()> {
    let times: Vec<f64> = said
        .lines()
        .filter_map(|line| {
            let rest = line.split_once("took: ")?.1;
            rest.split(' ').next()?.parse().ok()
        })
        .collect();
    let [write, read] = times[..] else {
        return Err(Error::new(format!("no times were told: {said}")));
    };
    for (best, time) in best.iter_mut().zip([write, read]) {
        *best = best.max((megabytes << 20) as f64 / 1e6 / time);
    }
    Ok(())
}

/// virtiofsd and QEMU with nothing of Stead's around them.
struct Bare {
    qemu: Qemu,
    socket: PathBuf,
    folder: PathBuf,
    virtiofsd: PathBuf,
}

impl Bare {
    fn new(bench: &Bench, words: &[String], folder: &Path) -> Result<Self> {
        let stage = bench.ground.stage();
        let virtiofsd = which("virtiofsd").ok_or_else(|| Error::new("virtiofsd is not on PATH"))?;
        let socket = stage.path("fs.sock");
        let own = words.iter().find_map(|word| word.strip_prefix("socket,id=fs0,path="));
        let own = own.ok_or_else(|| Error::new("a share without a socket"))?.to_owned();
        let tag = words
            .iter()
            .filter(|word| word.starts_with("vhost-user-fs"))
            .find_map(|word| word.split("tag=").nth(1))
            .ok_or_else(|| Error::new("a share without a tag"))?
            .to_owned();
        let qemu = Qemu::like(words);
        let first = qemu.value("-initrd").unwrap_or_default().to_owned();
        let base = first.split(".initramfs-").next().unwrap_or_default();
        let modules = Path::new(base).join("modules");
        let cpio = stage.path("bare.cpio");
        initramfs(&cpio, &modules, &tag, bench.scale.megabytes)?;
        // Its disk is another's meanwhile, and not looked at.
        let qemu = qemu
            .with("-initrd", cpio.display().to_string())
            .replace(&own, &socket.display().to_string())
            .replace("file.locking=auto", "file.locking=off");
        Ok(Bare { qemu, socket, folder: folder.to_owned(), virtiofsd })
    }

    /// Boots, measures and ends; what it said.
    fn run(&self, bench: &Bench) -> Result<String> {
        let stage = bench.ground.stage();
        let _ = std::fs::remove_file(&self.socket);
        let mut command = stage.command(&self.virtiofsd);
        command.arg("--shared-dir").arg(&self.folder).arg("--socket-path").arg(&self.socket);
        command.stderr(Stdio::null());
        let _serving = Serving(command.spawn().context("virtiofsd")?);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.socket.exists() {
            if Instant::now() > deadline {
                return Err(Error::new("virtiofsd does not listen"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut guest = self.qemu.start(stage)?;
        guest.until("bare: done")?;
        Ok(guest.said())
    }
}

/// Ends with this.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A first root with modules and busybox, whose first program measures.
fn initramfs(path: &Path, modules: &Path, tag: &str, megabytes: u64) -> Result<()> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "mnt", "bin", "lib"] {
        archive.entry(folder, 0o04_0755, (0, 0), b"");
    }
    archive.entry("dev/console", 0o02_0600, (5, 1), b"");
    let busybox = which("busybox").ok_or_else(|| Error::new("there is no busybox"))?;
    archive.entry("bin/busybox", 0o10_0755, (0, 0), &std::fs::read(busybox)?);
    let order = modules.join("order");
    let order = std::fs::read_to_string(&order).context(order.display())?;
    let mut load = String::new();
    for module in order.lines() {
        let content = std::fs::read(modules.join(module)).context(module)?;
        archive.entry(&format!("lib/{module}"), 0o10_0644, (0, 0), &content);
        let _ = writeln!(load, "$b insmod /lib/{module}");
    }
    let script = format!(
        "#!/bin/busybox sh\nb=/bin/busybox\n{TIMED}$b mount -t proc proc /proc\n$b mount -t devtmpfs dev /dev\n{load}\
         $b mount -t virtiofs {tag} /mnt && cd /mnt\n\
         t $b dd if=/dev/zero of=g bs=1M count={megabytes} conv=fsync\n\
         echo 3 >/proc/sys/vm/drop_caches\nt $b dd if=g of=/dev/null bs=1M\n$b rm g\necho 'bare: done'\n\
         while :; do $b sleep 1000; done\n"
    );
    archive.entry("init", 0o10_0755, (0, 0), script.as_bytes());
    std::fs::write(path, archive.finish()).context(path.display())
}
