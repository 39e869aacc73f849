//! How fast bytes go through the process that serves a sandbox's network.

use super::{Bench, Figures, Metric};
use crate::error::{Context, Result};
use crate::peers::run;
use crate::report::Page;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

pub(super) const METRIC: Metric = Metric {
    page: Page {
        key: "machine-net",
        title: "Network throughput",
        how: "Bytes between a server on this host's loopback and `bash` with `/dev/tcp` and `cat` or `head` inside, to \
              whom the server's port was given (`host_ports`): everything goes through the process that serves the \
              network. direct: the same command outside. The best of the runs, since others use this machine too.",
        ratios: &[("in MB/s", "direct"), ("out MB/s", "direct")],
    },
    measure,
};

fn measure(bench: &Bench) -> Figures {
    let mut figures = Figures::new(METRIC.page.key);
    if let Err(e) = both(bench, &mut figures) {
        figures.note("stead", e);
    }
    figures
}

fn both(bench: &Bench, figures: &mut Figures) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a server")?;
    let port = listener.local_addr()?.port();
    let bytes = bench.scale.bytes;
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            // Each client goes on until it has had or given all.
            let _ = serve(stream, bytes);
        }
    });
    bench.ground.make_with("net", &json!({ "host_ports": [port], "cpus": null }))?;
    let (given, taken) = (
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf r >&3; cat <&3 >/dev/null"),
        format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf w >&3; head -c {bytes} /dev/zero >&3; read x <&3"
        ),
    );
    let mut best = [[Duration::MAX; 2]; 2];
    for _ in 0..bench.scale.transfers {
        for (way, script) in [&given, &taken].into_iter().enumerate() {
            let mut direct = bench.stage().command("bash");
            direct.args(["-c", script]);
            let inside = bench.ground.stead(&["exec", "net", "--", "bash", "-c", script]);
            for (who, command) in [inside, direct].into_iter().enumerate() {
                best[who][way] = best[who][way].min(timed(command)?);
            }
        }
    }
    for (who, peer) in ["stead", "direct"].into_iter().enumerate() {
        for (way, name) in ["in MB/s", "out MB/s"].into_iter().enumerate() {
            figures.put(peer, name, Some(bytes as f64 / 1e6 / best[who][way].as_secs_f64()));
        }
    }
    Ok(())
}

fn timed(command: Command) -> Result<Duration> {
    let start = Instant::now();
    run(command)?;
    Ok(start.elapsed())
}

fn serve(mut stream: std::net::TcpStream, bytes: u64) -> Result<()> {
    let mut what = [0];
    stream.read_exact(&mut what)?;
    let mut buffer = vec![0; 1 << 17];
    let mut left = bytes;
    if what == *b"r" {
        while left > 0 {
            let n = left.min(buffer.len() as u64) as usize;
            stream.write_all(&buffer[..n])?;
            left -= n as u64;
        }
    } else {
        while left > 0 {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                return Ok(());
            }
            left -= n as u64;
        }
        stream.write_all(b"done\n")?;
    }
    Ok(())
}
