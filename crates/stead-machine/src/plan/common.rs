//! What is said alike of several machines is said once.

use std::collections::HashMap;

/// So many machines are named; more are counted.
const NAMED: usize = 4;

/// Sentences, and of which machines they are said.
#[derive(Debug, Default)]
pub struct Common<'a> {
    machines: usize,
    of: HashMap<String, Vec<&'a str>>,
    /// The sentences in the order in which they were first said.
    order: Vec<String>,
}

impl<'a> Common<'a> {
    /// Of machines, each with what is said of it.
    pub fn of(said: impl IntoIterator<Item = (&'a str, Vec<String>)>) -> Self {
        let mut common = Common::default();
        for (machine, sentences) in said {
            common.machines += 1;
            for sentence in sentences {
                let of = common.of.entry(sentence.clone()).or_insert_with(|| {
                    common.order.push(sentence);
                    Vec::new()
                });
                if of.last() != Some(&machine) {
                    of.push(machine);
                }
            }
        }
        common
    }

    /// Whether a sentence is said of more than one machine.
    pub fn has(&self, sentence: &str) -> bool {
        self.of.get(sentence).is_some_and(|of| of.len() > 1)
    }

    /// A line for each sentence that is said of several machines: `a, b: it is full`, `all 20 machines: it is full`.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.order.iter().filter(|sentence| self.has(sentence)).map(|sentence| {
            let of = &self.of[sentence];
            let who = match of.len() {
                some if some <= NAMED => of.join(", "),
                all if all == self.machines => format!("all {all} machines"),
                many => format!("{many} machines"),
            };
            format!("{who}: {sentence}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_several_is_said_once_with_their_names_or_their_number() {
        let names: Vec<String> = (0..6).map(|n| format!("m{n}")).collect();
        let common = Common::of(names.iter().enumerate().map(|(n, name)| {
            let mut said = vec!["cold".to_owned(), "cold".into(), format!("only {n}")];
            said.extend((n < 5).then(|| "wet".to_owned()));
            said.extend((n < 2).then(|| "dark".to_owned()));
            (name.as_str(), said)
        }));
        let lines: Vec<String> = common.lines().collect();
        assert_eq!(lines, ["all 6 machines: cold", "5 machines: wet", "m0, m1: dark"]);
        assert!(common.has("wet") && !common.has("only 1") && !common.has("dry"));
    }
}
