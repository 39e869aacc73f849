//! What has been typed and not yet taken by the terminal: whole messages, one after the other.

use super::Hold;
use crate::clock::now_ms;
use rustix::io::Errno;
use std::collections::VecDeque;

/// Messages that may wait for the terminal before its own answers are dropped.
const MAX_UNREAD: usize = 1000;

enum Item {
    /// Bytes of one message, how many of them the terminal has, and who typed them.
    Bytes { bytes: Vec<u8>, taken: usize, client: Option<u32> },
    /// A question to be answered once all before it is taken.
    Barrier { client: u32, ask: u32 },
}

/// The queue towards the terminal.
#[derive(Default)]
pub struct Typed {
    items: VecDeque<Item>,
}

impl Typed {
    /// Whether something waits for the terminal.
    pub fn waiting(&self) -> bool {
        !self.items.is_empty()
    }

    /// Answers of the terminal itself to questions of the program.
    pub fn push_replies(&mut self, bytes: &[u8]) {
        // A program that asks without end and reads nothing gets no more answers.
        if self.items.len() > MAX_UNREAD {
            return;
        }
        self.items.push_back(Item::Bytes { bytes: bytes.to_vec(), taken: 0, client: None });
    }

    /// Drops everything: the terminal is gone.
    pub fn clear(&mut self) -> Vec<(u32, u32)> {
        self.items
            .drain(..)
            .filter_map(|item| match item {
                Item::Barrier { client, ask } => Some((client, ask)),
                Item::Bytes { .. } => None,
            })
            .collect()
    }
}

impl Hold {
    /// Queues one message of a client.
    pub(super) fn type_bytes(&mut self, at: usize, bytes: Vec<u8>) {
        if bytes.is_empty() || !self.open {
            return;
        }
        let client = &mut self.clients[at];
        client.typed += bytes.len();
        let id = client.id;
        self.judge.typed(now_ms());
        self.typed.items.push_back(Item::Bytes { bytes, taken: 0, client: Some(id) });
        self.write_typed();
    }

    /// Answers the question once everything typed before has been taken.
    pub(super) fn barrier(&mut self, at: usize, ask: u32) {
        let client = self.clients[at].id;
        self.typed.items.push_back(Item::Barrier { client, ask });
        self.write_typed();
    }

    /// Writes what the terminal takes now.
    pub(super) fn write_typed(&mut self) {
        while let Some(item) = self.typed.items.front_mut() {
            match item {
                Item::Barrier { client, ask } => {
                    let (client, ask) = (*client, *ask);
                    self.typed.items.pop_front();
                    self.answer_ok(client, ask, serde_json::Value::Null);
                }
                Item::Bytes { bytes, taken, client } => {
                    match rustix::io::write(self.pty.master(), &bytes[*taken..]) {
                        Ok(n) => {
                            *taken += n;
                            let (done, client) = (*taken == bytes.len(), *client);
                            if let Some(typist) =
                                self.clients.iter_mut().find(|c| Some(c.id) == client)
                            {
                                typist.typed = typist.typed.saturating_sub(n);
                            }
                            if done {
                                self.typed.items.pop_front();
                            }
                        }
                        Err(Errno::INTR) => {}
                        Err(Errno::AGAIN) => return,
                        Err(_) => {
                            for (client, ask) in self.typed.clear() {
                                self.answer_error(client, ask, "the session has ended");
                            }
                            return;
                        }
                    }
                }
            }
        }
    }
}
