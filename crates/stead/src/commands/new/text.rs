//! What was chosen, as a person would write it in a stead file.

use std::fmt::Write;

/// Sizes to choose from: word, processors, memory, disk.
pub const SIZES: [(&str, u32, &str, &str); 4] = [
    ("small", 1, "2GiB", "20GiB"),
    ("medium", 2, "4GiB", "40GiB"),
    ("large", 4, "8GiB", "64GiB"),
    ("huge", 8, "16GiB", "128GiB"),
];

/// What a machine can have beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// A screen.
    Desktop,
    /// Sound.
    Audio,
    /// It starts from its memory.
    Warm,
    /// It forgets.
    Ephemeral,
    /// Containers inside.
    Nested,
    /// Only the web is reached.
    WebOnly,
    /// The login of Claude Code.
    Login,
}

/// All of them, each with what is said of it, and whether only a virtual machine has it.
pub const FEATURES: [(Feature, &str, bool); 7] = [
    (Feature::Desktop, "desktop: a screen at a VNC port", true),
    (Feature::Audio, "audio: what it plays is heard here", true),
    (Feature::Warm, "warm: it starts from its memory just after its first boot", true),
    (Feature::Ephemeral, "ephemeral: it forgets when it stops, but for /home and /root", false),
    (Feature::Nested, "nested: containers inside", false),
    (Feature::WebOnly, "web-only: it reaches nothing but ports 80 and 443", false),
    (Feature::Login, "login: a copy of this computer's login of Claude Code", false),
];

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chosen {
    pub name: String,
    pub qemu: bool,
    pub light: bool,
    /// In [`SIZES`].
    pub size: usize,
    pub features: Vec<Feature>,
    pub shares: Vec<String>,
}

/// The machine's table.
pub fn table(chosen: &Chosen) -> String {
    let (_, cpus, memory, disk) = SIZES[chosen.size];
    let has = |feature| chosen.features.contains(&feature);
    let mut text = format!("[machines.{}]\n", chosen.name);
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(if chosen.qemu { "engine = \"qemu\"" } else { "engine = \"sandbox\"" });
    line(&format!("cpus = {cpus}"));
    line(&format!("memory = \"{memory}\""));
    // A limit of what a sandbox writes needs root; a virtual machine has a disk anyhow.
    if chosen.qemu {
        line(&format!("disk = \"{disk}\""));
    }
    if !chosen.shares.is_empty() {
        let shares: Vec<String> = chosen.shares.iter().map(|share| quoted(share)).collect();
        line(&format!("shares = [{}]", shares.join(", ")));
    }
    if has(Feature::Ephemeral) {
        line("ephemeral = true");
        line("persist = [\"/home\", \"/root\"]");
    }
    if has(Feature::Nested) {
        line("nested = true");
    }
    if has(Feature::WebOnly) {
        line("egress = \"web-only\"");
    }
    if has(Feature::Login) {
        line("share_agent_auth = [\"claude\"]");
    }
    text.push_str(&vm(chosen));
    text
}

/// The table of what only a virtual machine has, if there is any.
fn vm(chosen: &Chosen) -> String {
    let has = |feature| chosen.features.contains(&feature);
    let mut text = String::new();
    let pci = has(Feature::Desktop) || has(Feature::Audio);
    for (wanted, line) in [
        (chosen.light, "guest = \"light\""),
        (chosen.light && pci, "machine = \"q35\""),
        (has(Feature::Warm), "warm = true"),
        (has(Feature::Desktop), "desktop = { resolution = \"1920x1080\" }"),
        (has(Feature::Audio), "audio = true"),
    ] {
        if wanted {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
        }
    }
    if text.is_empty() || !chosen.qemu {
        return String::new();
    }
    format!("\n[machines.{}.qemu]\n{text}", chosen.name)
}

/// A text as TOML has it: what JSON escapes, TOML does, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A file with a table behind what is there, which is not touched.
pub fn appended(file: &str, table: &str) -> String {
    let gap = match file {
        "" => "",
        file if file.ends_with("\n\n") => "",
        file if file.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{file}{gap}{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_a_good_file_and_says_what_was_chosen() {
        let context = stead_file::Context {
            folder: "/site".into(),
            engines: vec!["host", "sandbox", "qemu"],
            ..stead_file::Context::default()
        };
        let mut count = 0;
        for choice in 0..1_u32 << FEATURES.len() {
            for (qemu, light) in [(false, false), (true, false), (true, true)] {
                let features = FEATURES.iter().enumerate();
                let features = features
                    .filter(|(at, (_, _, vm))| choice & (1 << at) != 0 && (qemu || !vm))
                    .map(|(_, (feature, ..))| *feature)
                    .collect();
                let shares = vec![".".into(), "/a \"b\":ro".into()];
                let size = choice as usize % SIZES.len();
                let chosen = Chosen { name: "vm".into(), qemu, light, size, features, shares };
                let text = appended("# Mine.\n[machines.other]\n", &table(&chosen));
                let checked = stead_file::read(&text, &context)
                    .unwrap_or_else(|report| panic!("{text}{}", report.plain()));
                let machine = &checked.declaration.machines["vm"];
                assert_eq!(machine.engine == "qemu", qemu);
                assert_eq!(machine.shares.len(), 2);
                assert_eq!(machine.ephemeral, chosen.features.contains(&Feature::Ephemeral));
                let desktop = machine.qemu.desktop.is_some();
                assert_eq!(desktop, chosen.features.contains(&Feature::Desktop));
                assert!(text.starts_with("# Mine.\n[machines.other]\n\n[machines.vm]\n"));
                count += 1;
            }
        }
        assert_eq!(count, 3 << FEATURES.len());
    }

    #[test]
    fn what_is_there_is_not_touched() {
        assert_eq!(appended("", "[x]\n"), "[x]\n");
        assert_eq!(appended("a = 1", "[x]\n"), "a = 1\n\n[x]\n");
        assert_eq!(appended("a = 1\n", "[x]\n"), "a = 1\n\n[x]\n");
        assert_eq!(appended("a = 1\n\n", "[x]\n"), "a = 1\n\n[x]\n");
    }
}
