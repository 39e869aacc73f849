//! Values of a declaration as people write them.

use serde_json::Value;
use stead_file::declared::{Egress, Guest, Machine};

/// A number of bytes as people write it: `8 GiB`, `1.5 GiB`, `512 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (1..UNITS.len()).rev().find(|&n| bytes >= 1 << (10 * n)).unwrap_or(0);
    if unit == 0 {
        return format!("{bytes} bytes");
    }
    let tenths = (u128::from(bytes) * 10 + (1 << (10 * unit - 1))) >> (10 * unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

/// What a machine is, in one line: its engine and what is not as by default.
pub fn limits(machine: &Machine) -> String {
    let mut words = vec![machine.engine.clone()];
    if machine.qemu.guest == Guest::Light {
        words.push("light".into());
    }
    if machine.image != "host" {
        words.push(machine.image.clone());
    }
    words.extend(machine.memory.map(|m| size(m.bytes())));
    words.extend(machine.cpus.map(|c| match c {
        1000 => "1 cpu".into(),
        c => format!("{} cpus", thousandths(u64::from(c))),
    }));
    words.extend(machine.disk.map(|d| format!("{} disk", size(d.bytes()))));
    if machine.ephemeral {
        words.push("ephemeral".into());
    }
    match &machine.egress {
        Egress::Open => {}
        Egress::WebOnly => words.push("egress web-only".into()),
        Egress::Allow(to) if to.len() == 1 => words.push("egress to 1 server".into()),
        Egress::Allow(to) => words.push(format!("egress to {} servers", to.len())),
        Egress::None => words.push("egress none".into()),
    }
    if !machine.running {
        words.push("stopped".into());
    }
    words.join(", ")
}

/// One value of a declaration.
pub(super) fn value(key: &str, value: &Value) -> String {
    match (key, value) {
        ("accel" | "arch" | "format" | "machine" | "persist_size" | "root_memory", Value::Null) => {
            "default".into()
        }
        (_, Value::Null) => "none".into(),
        ("memory" | "disk" | "balloon" | "root_memory" | "persist_size", Value::Number(n)) => {
            n.as_u64().map_or_else(|| n.to_string(), size)
        }
        ("cpus", Value::Number(n)) => n.as_u64().map_or_else(|| n.to_string(), thousandths),
        // What it holds may be a secret.
        ("env", Value::Object(env)) if env.is_empty() => "none".into(),
        ("env", Value::Object(env)) => env.keys().cloned().collect::<Vec<_>>().join(" "),
        ("ports", Value::Array(ports)) => list(ports, |p| {
            let part = |k: &str| p.get(k).map(plain).unwrap_or_default();
            format!("{}:{}:{}", part("address"), part("host"), part("inside"))
        }),
        ("shares", Value::Array(shares)) => list(shares, |s| {
            let part = |k: &str| s.get(k).map(plain).unwrap_or_default();
            let mode = if s.get("writable") == Some(&Value::Bool(true)) { "" } else { ":ro" };
            format!("{}:{}{mode}", part("host"), part("inside"))
        }),
        ("desktop", Value::Object(desktop)) => {
            let port = |key: &str| desktop.get(key).map(|at| format!("{key} {}", plain(at)));
            let resolution = desktop.get("resolution").map(plain);
            let all = [resolution, port("vnc"), port("rdp")].into_iter().flatten();
            all.collect::<Vec<_>>().join(" ")
        }
        (_, Value::Array(values)) => list(values, plain),
        ("keep", Value::Object(keep)) => {
            let part = |k: &str| keep.get(k).filter(|v| !v.is_null()).map(plain);
            let count = part("count")
                .map(|c| if c == "1" { "1 snapshot".into() } else { format!("{c} snapshots") });
            let age = keep.get("age").and_then(Value::as_u64).map(span);
            let both: Vec<String> = [count, age].into_iter().flatten().collect();
            if both.is_empty() { "all".into() } else { both.join(", ") }
        }
        ("egress", Value::Object(allow)) => {
            allow.values().map(|to| self::value("", to)).collect::<Vec<_>>().join(" ")
        }
        (_, value) => plain(value),
    }
}

/// Seconds in the largest unit of the stead file that they are a whole number of.
fn span(seconds: u64) -> String {
    let whole = |(_, unit): &(&str, u64)| seconds.is_multiple_of(*unit);
    match [("d", 86_400), ("h", 3600), ("m", 60)].into_iter().find(whole) {
        Some((letter, unit)) => format!("{}{letter}", seconds / unit),
        None => format!("{seconds} s"),
    }
}

fn list(values: &[Value], word: impl Fn(&Value) -> String) -> String {
    if values.is_empty() {
        return "none".into();
    }
    values.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        value => value.to_string(),
    }
}

fn thousandths(n: u64) -> String {
    let text = format!("{}.{:03}", n / 1000, n % 1000);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_several() {
        let words = |cpus: u32, to: &[&str]| {
            let to = to.iter().filter_map(|to| to.parse().ok()).collect();
            limits(&Machine { cpus: Some(cpus), egress: Egress::Allow(to), ..Machine::default() })
        };
        assert_eq!(words(1000, &["a.org"]), "sandbox, 1 cpu, egress to 1 server");
        assert_eq!(words(500, &["a.org", "b.org"]), "sandbox, 0.5 cpus, egress to 2 servers");
        assert_eq!(words(2000, &[]), "sandbox, 2 cpus, egress to 0 servers");
    }

    #[test]
    fn what_is_kept_reads_as_it_is_written() {
        let keep = |count: Option<u32>, age: Option<u64>| {
            value("keep", &serde_json::json!({ "count": count, "age": age }))
        };
        assert_eq!(keep(Some(10), Some(30 * 86_400)), "10 snapshots, 30d");
        assert_eq!(keep(Some(1), Some(90 * 60)), "1 snapshot, 90m");
        assert_eq!(keep(None, None), "all");
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1 << 10, "1 KiB"),
            (3 << 29, "1.5 GiB"),
            (8 << 30, "8 GiB"),
            (1 << 40, "1 TiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
        assert_eq!(thousandths(1500), "1.5");
        assert_eq!(thousandths(10_000), "10");
    }
}
