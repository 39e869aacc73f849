//! What was measured, by metric, program and figure.

use serde::Serialize;

/// One number.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// The metric's key, such as `attach`.
    pub metric: &'static str,
    /// The program.
    pub peer: &'static str,
    /// What the number is, with its unit, such as `p50 ms`.
    pub name: &'static str,
    /// The number.
    pub value: f64,
}

/// Something to be known about one program in one metric.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    /// The metric's key.
    pub metric: &'static str,
    /// The program.
    pub peer: &'static str,
    /// What happened.
    pub text: String,
}

/// Everything that a run measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// The numbers.
    pub figures: Vec<Figure>,
    /// What went otherwise than expected.
    pub notes: Vec<Note>,
}

impl Results {
    /// Adds a number.
    pub fn figure(
        &mut self,
        metric: &'static str,
        peer: &'static str,
        name: &'static str,
        value: impl Into<Option<f64>>,
    ) {
        if let Some(value) = value.into() {
            self.figures.push(Figure { metric, peer, name, value });
        }
    }

    /// Adds what was measured elsewhere.
    pub fn extend(&mut self, other: Results) {
        self.figures.extend(other.figures);
        self.notes.extend(other.notes);
    }

    /// Adds a note, once, and says it on the terminal.
    pub fn note(&mut self, metric: &'static str, peer: &'static str, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.iter().any(|n| n.metric == metric && n.peer == peer && n.text == text) {
            eprintln!("  {peer}: {text}");
            self.notes.push(Note { metric, peer, text });
        }
    }

    /// A number, if it was measured.
    pub fn get(&self, metric: &str, peer: &str, name: &str) -> Option<f64> {
        let same = |f: &&Figure| f.metric == metric && f.peer == peer && f.name == name;
        self.figures.iter().find(same).map(|f| f.value)
    }
}
