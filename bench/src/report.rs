//! The results as a page of tables, and as JSON.

use crate::machine::Machine;
use crate::results::Results;
use crate::targets::Target;
use serde::Serialize;
use std::fmt::Write as _;

/// A program that took part.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// What it says of its version.
    pub version: String,
    /// What a reader must know.
    pub remark: &'static str,
}

/// What the report says of a metric.
#[derive(Clone, Copy)]
pub struct Page {
    /// Its key on the command line and in the results.
    pub key: &'static str,
    /// Its title.
    pub title: &'static str,
    /// How it is measured.
    pub how: &'static str,
    /// Figures whose ratio to another program's is shown: figure, program.
    pub ratios: &'static [(&'static str, &'static str)],
}

/// What belongs together in one report.
pub struct Set {
    /// Its title.
    pub title: &'static str,
    /// The programs, in the order of the tables.
    pub names: &'static [&'static str],
    /// The metrics, in their order.
    pub pages: Vec<Page>,
    /// What is to be reached.
    pub targets: &'static [Target],
}

/// A whole run.
#[derive(Serialize)]
pub struct Report<Scale> {
    /// What is in it.
    #[serde(skip)]
    pub set: Set,
    /// The command that made it.
    pub command: String,
    /// Where.
    pub machine: Machine,
    /// How much.
    pub scale: Scale,
    /// Who.
    pub programs: Vec<Program>,
    /// What came out.
    pub results: Results,
}

/// A number with about three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        v if v.fract() == 0.0 && v < 1e6 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

impl<Scale> Report<Scale> {
    /// The page in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\n", self.set.title);
        let machine = &self.machine;
        let _ = writeln!(
            out,
            "{} · {} cores ({}) · {} MB · {} · Linux {} · load {} at the start, {} at the end\n\n\
             Made by `{}`. Lower is better for ms, s, MB and %; higher for MB/s.\n",
            machine.date,
            machine.cores,
            machine.processor,
            machine.memory_mb,
            machine.system,
            machine.kernel,
            machine.load_before,
            machine.load_after,
            self.command,
        );
        self.targets(&mut out);
        out.push_str("## Programs\n\n| program | version | remark |\n| --- | --- | --- |\n");
        for program in &self.programs {
            let _ =
                writeln!(out, "| {} | {} | {} |", program.name, program.version, program.remark);
        }
        for page in &self.set.pages {
            self.page(&mut out, page);
        }
        out
    }

    fn targets(&self, out: &mut String) {
        let verdicts: Vec<_> =
            self.set.targets.iter().filter_map(|t| t.verdict(&self.results)).collect();
        if verdicts.is_empty() {
            return;
        }
        out.push_str("## Targets\n\n| target | bound | measured | |\n| --- | --- | ---: | --- |\n");
        for v in verdicts {
            let met = if v.met { "met" } else { "**not met**" };
            let _ = writeln!(out, "| {} | {} | {} | {met} |", v.what, v.bound, number(v.measured));
        }
        out.push('\n');
    }

    fn page(&self, out: &mut String, metric: &Page) {
        let mut columns: Vec<&'static str> = Vec::new();
        for figure in self.results.figures.iter().filter(|f| f.metric == metric.key) {
            if !columns.contains(&figure.name) {
                columns.push(figure.name);
            }
        }
        let notes: Vec<_> = self.results.notes.iter().filter(|n| n.metric == metric.key).collect();
        if columns.is_empty() && notes.is_empty() {
            return;
        }
        let _ = writeln!(out, "\n## {}\n\n{}\n", metric.title, metric.how);
        let get = |peer, name| self.results.get(metric.key, peer, name);
        let ratios: Vec<_> =
            metric.ratios.iter().filter(|(name, peer)| get(peer, name).is_some()).collect();
        let heads = columns
            .iter()
            .map(|c| (*c).to_owned())
            .chain(ratios.iter().map(|(name, peer)| format!("{name} ÷ {peer}")));
        let _ = writeln!(out, "| program | {} |", heads.collect::<Vec<_>>().join(" | "));
        let _ = writeln!(out, "| --- |{}", " ---: |".repeat(columns.len() + ratios.len()));
        for peer in self.set.names {
            if columns.iter().all(|name| get(peer, name).is_none()) {
                continue;
            }
            let shown = |value: Option<f64>| value.map_or("–".to_owned(), number);
            let mut cells: Vec<String> =
                columns.iter().map(|name| shown(get(peer, name))).collect();
            for (name, reference) in &ratios {
                let ratio = get(peer, name).zip(get(reference, name)).map(|(a, b)| a / b);
                cells.push(shown(ratio));
            }
            let _ = writeln!(out, "| {peer} | {} |", cells.join(" | "));
        }
        if !notes.is_empty() {
            out.push('\n');
            for note in notes {
                let _ = writeln!(out, "- {}: {}", note.peer, note.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_numbers_ratios_verdicts_and_notes() {
        let mut results = Results::default();
        results.figure("attach", "tmux", "p50 ms", 10.0);
        results.figure("attach", "stead", "p50 ms", 5.0);
        results.note("attach", "dtach", "no screen");
        let report = Report {
            set: crate::sessions(),
            command: "make bench".to_owned(),
            machine: Machine::look().unwrap(),
            scale: (),
            programs: Vec::new(),
            results,
        };
        let page = report.markdown();
        assert!(page.contains("| stead | 5 | 0.500 |"), "{page}");
        assert!(page.contains("| attach, of tmux's time | ≤ 0.6 | 0.500 | met |"), "{page}");
        assert!(page.contains("- dtach: no screen"), "{page}");
    }
}
