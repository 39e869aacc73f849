//! States: what a machine's data consists of, as it is written down. The engine knows a state by the machine that it lies
//! in; its name is the manager's.
//!
//! A state is one or two stacks of layers, each over a base. Only the topmost layer of a stack is written to; the others are
//! frozen and never change again, so that any number of states and snapshots can share them.

use super::files;
use super::place::Place;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;
use stead_machine::EngineError;
use stead_machine::model::Snapshot;

/// A layer: where it lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Layer {
    /// Its name among the layers of its disk.
    pub id: String,
    /// The machine on whose own file system it lies; `None` is the common folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
}

/// What a stack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The root file system.
    Root,
    /// What survives of a machine whose root lies in memory.
    Persist,
}

/// Layers over a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack<B> {
    /// What is under all layers.
    #[serde(flatten)]
    pub base: B,
    /// Frozen layers, topmost first.
    pub frozen: Vec<Layer>,
    /// The layer that is written to.
    pub top: Layer,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State<B> {
    /// Its root.
    #[serde(flatten)]
    pub root: Stack<B>,
    /// What survives, where that has layers of its own.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub persist: Option<Stack<B>>,
}

/// Frozen layers over a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen<B> {
    /// What is under all layers.
    #[serde(flatten)]
    pub base: B,
    /// The layers, topmost first.
    pub layers: Vec<Layer>,
}

/// A state of which nothing changes any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts<B> {
    /// Its root.
    #[serde(flatten)]
    pub root: Frozen<B>,
    /// What survives, where that has layers of its own.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub persist: Option<Frozen<B>>,
}

/// A snapshot and what it consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept<B> {
    /// What people see of it.
    pub snapshot: Snapshot,
    /// Its layers.
    #[serde(flatten)]
    pub parts: Parts<B>,
}

const fn none<T>() -> Option<T> {
    None
}

impl<B> Stack<B> {
    /// All its layers, topmost first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(&self.top).chain(&self.frozen)
    }
}

impl<B: Clone> Stack<B> {
    /// What is under its topmost layer.
    pub fn under(&self) -> Frozen<B> {
        Frozen { base: self.base.clone(), layers: self.frozen.clone() }
    }
}

impl<B> State<B> {
    /// Its stacks.
    pub fn stacks(&self) -> impl Iterator<Item = (Part, &Stack<B>)> {
        let persist = self.persist.iter().map(|stack| (Part::Persist, stack));
        std::iter::once((Part::Root, &self.root)).chain(persist)
    }

    /// Its stacks, to be changed.
    pub fn stacks_mut(&mut self) -> impl Iterator<Item = (Part, &mut Stack<B>)> {
        let persist = self.persist.iter_mut().map(|stack| (Part::Persist, stack));
        std::iter::once((Part::Root, &mut self.root)).chain(persist)
    }
}

impl<B: Clone> State<B> {
    /// What is under its topmost layers.
    pub fn under(&self) -> Parts<B> {
        Parts { root: self.root.under(), persist: self.persist.as_ref().map(Stack::under) }
    }
}

impl<B> Parts<B> {
    /// All its layers.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.root.layers.iter().chain(self.persist.iter().flat_map(|frozen| &frozen.layers))
    }
}

/// Reads the state of a machine; `None` if there is none.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read_state<B: DeserializeOwned>(
    place: &Place,
    name: &str,
) -> Result<Option<State<B>>, EngineError> {
    files::read(&place.state(name))
}

/// A machine's snapshots, oldest first.
///
/// # Errors
/// If one cannot be read.
pub fn kept<B: DeserializeOwned>(
    place: &Place,
    machine: &str,
) -> Result<Vec<Kept<B>>, EngineError> {
    let folder = place.snapshots(machine);
    let mut all: Vec<Kept<B>> = Vec::new();
    for name in files::names(&folder)? {
        if Path::new(&name).extension().is_some_and(|e| e == "json") {
            all.extend(files::read::<Kept<B>>(&folder.join(name))?);
        }
    }
    all.sort_by_key(|kept| kept.snapshot.at);
    Ok(all)
}

/// How the names of machines begin that are there for others to be made from, and that nobody sees.
pub const HIDDEN: &str = ".warm-";

/// The names of all machines that there is anything of.
///
/// # Errors
/// If the folder cannot be read.
pub fn machines(place: &Place) -> Result<Vec<String>, EngineError> {
    let mut names = files::names(&place.machines())?;
    names.retain(|name| !name.starts_with('.'));
    Ok(names)
}

/// [`machines`], and those that nobody sees.
///
/// # Errors
/// If the folder cannot be read.
pub fn machines_and_hidden(place: &Place) -> Result<Vec<String>, EngineError> {
    let mut names = files::names(&place.machines())?;
    names.retain(|name| !name.starts_with('.') || name.starts_with(HIDDEN));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Image;

    #[test]
    fn what_is_on_disk_is_read_and_written_as_ever() {
        let state =
            r#"{"image":"host","frozen":[{"id":"a"},{"id":"b","disk":"box"}],"top":{"id":"c"}}"#;
        let read: State<Image> = serde_json::from_str(state).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), state);
        let kept = r#"{"snapshot":{"name":"s","at":1,"note":"","consistency":"crash","automatic":false,"how":""},"image":"debian/12","layers":[{"id":"a"}]}"#;
        let read: Kept<Image> = serde_json::from_str(kept).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), kept);
    }
}
