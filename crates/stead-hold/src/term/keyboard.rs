//! The kitty keyboard protocol's flags.

use super::model::MAX_STACK;

/// Kitty keyboard flags of one screen: what is in force, and what comes back when it is popped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyboard {
    /// In force while nothing is pushed.
    pub base: u8,
    /// Pushed, the last in force.
    pub pushed: Vec<u8>,
}

impl Keyboard {
    /// The flags in force.
    pub fn current(&self) -> u8 {
        self.pushed.last().copied().unwrap_or(self.base)
    }

    /// Changes the flags in force: 1 replaces, 2 adds, 3 removes.
    pub fn set(&mut self, flags: u8, how: u16) {
        let current = self.pushed.last_mut().unwrap_or(&mut self.base);
        *current = match how {
            2 => *current | flags,
            3 => *current & !flags,
            _ => flags,
        };
    }

    /// Pushes flags; the oldest are forgotten when there are too many.
    pub fn push(&mut self, flags: u8) {
        if self.pushed.len() == MAX_STACK {
            self.base = self.pushed.remove(0);
        }
        self.pushed.push(flags);
    }

    /// Pops so many; popping more than there are clears the base too.
    pub fn pop(&mut self, count: usize) {
        if count > self.pushed.len() {
            self.base = 0;
        }
        self.pushed.truncate(self.pushed.len().saturating_sub(count));
    }
}
