//! Limits, attacked from inside.

use super::help::{Machine, able, must};
use super::{Bench, Checked, Told};
use crate::model::Remark;

pub(super) async fn memory_is_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().limits)?;
    let mut machine = Machine::new(bench, "memory");
    let memory = bench.little_memory();
    machine.wanted.declared.memory = Some(memory);
    machine.create().await?;
    machine.start().await?;
    let little = machine.run("perl -e '$x=\"a\" x (16<<20); print length $x'", "").await?;
    must(little.status.success(), || format!("16 MiB of {memory} are too much (it needs perl)"))?;
    // Each MiB is written to, so that it is really there.
    let mib = (memory.bytes() >> 20) * 3;
    let much = format!("perl -e 'for (1..{mib}) {{ push @x, \"a\" x (1<<20) }} print \"all\"'");
    let much = machine.run(&much, "").await?;
    let said = String::from_utf8_lossy(&much.stdout).into_owned();
    must(!much.status.success() && said != "all", || format!("it used {mib} MiB of {memory}"))?;
    let after = machine.run("echo still", "").await?;
    must(after.status.success(), || "after that it can no longer be entered".into())?;
    machine.destroy().await
}

pub(super) async fn processes_are_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().limits)?;
    let mut machine = Machine::new(bench, "forks");
    machine.wanted.declared.processes = Some(40);
    let refused = |remark: &Remark| remark.refused && remark.text.starts_with("processes");
    if let Some(remark) = machine.engine.check(&machine.wanted).await?.into_iter().find(refused) {
        return Err(Told::Skip(remark.text));
    }
    machine.create().await?;
    machine.start().await?;
    // Each child ends with its parent's pipe, so that nothing is left running.
    let line = "perl -e 'pipe R,W; for (1..200) { $p=fork; last unless defined $p; \
        if (!$p) { close W; sysread R,$_,1; exit } $n++ } print $n; close W; 1 while wait>0'";
    let made: u32 = machine.ask(line).await?.parse().unwrap_or(0);
    must((5..40).contains(&made), || format!("it made {made} processes, and may 40"))?;
    machine.destroy().await
}

pub(super) async fn disk_is_limited(bench: &dyn Bench) -> Checked {
    able(&bench.engine().abilities().disk_limit)?;
    let mut machine = Machine::new(bench, "disk");
    let disk = bench.small_disk();
    machine.wanted.declared.disk = Some(disk);
    machine.create().await?;
    machine.start().await?;
    let write = |mib: u64| format!("dd if=/dev/zero of=file bs=1M count={mib} conv=fsync 2>&1");
    let little = machine.run(&write(16), "").await?;
    must(little.status.success(), || format!("16 MiB of {disk} are too much"))?;
    let mib = (disk.bytes() >> 20) + 96;
    let much = machine.run(&write(mib), "").await?;
    must(!much.status.success(), || format!("it wrote {mib} MiB of {disk}"))?;
    machine.destroy().await
}
