//! How a session ends, and when its hold goes.

use super::Hold;
use super::client::Role;
use crate::clock::{now_ms, steady_ms};
use stead_wire::message::ToClient;
use stead_wire::session::{EndedBy, Exit, Linger};

/// After a hangup, how long the command has before it is killed, in milliseconds.
const PATIENCE_MS: u64 = 2000;

/// After the command was killed from outside, how long the hold waits whether it is killed too, in milliseconds.
const STRUCK_MS: u64 = 500;

/// How soon after a signal that a person sent the end counts as their doing, in milliseconds.
const SIGNALLED_MS: u64 = 5000;

/// Most output taken in after the command has ended, in bytes.
const MAX_LAST_OUTPUT: u64 = 1024 * 1024;

/// How long a hold that may go waits for clients that do not read, in milliseconds.
const LEAVE_MS: u64 = 2000;

/// Time between two attempts to write down the end, in milliseconds.
const WRITE_AGAIN_MS: u64 = 1000;

/// How far the session is from its end.
pub enum Ending {
    /// It runs.
    Not,
    /// A person has asked for its end; whatever is left is killed at `at` (steady milliseconds).
    Asked { at: Option<u64> },
    /// Its command was struck down from outside. If the machine is going down, this hold is struck next, and the session
    /// was lost rather than ended; until `at` (steady milliseconds) that is not decided.
    Struck { code: Option<i32>, signal: Option<i32>, at: u64 },
    /// It has ended, and nobody has read how.
    Over(Exit),
    /// It has ended, and somebody knows how.
    Read(Exit),
}

impl Ending {
    /// Whether the command's end is still to come.
    pub fn awaits_child(&self) -> bool {
        matches!(self, Ending::Not | Ending::Asked { .. })
    }

    /// When something must be done next; steady milliseconds.
    pub fn timer(&self) -> Option<u64> {
        match self {
            Ending::Asked { at } => *at,
            Ending::Struck { at, .. } => Some(*at),
            _ => None,
        }
    }
}

impl Hold {
    /// Sends a signal, or ends the session (`signal` 0).
    pub(super) fn kill(&mut self, signal: i32, by_person: bool) -> Result<(), String> {
        if !self.ending.awaits_child() {
            return Err("the session has ended".into());
        }
        if signal == 0 {
            if by_person {
                self.ending = Ending::Asked { at: Some(steady_ms() + PATIENCE_MS) };
            }
            self.pty.signal_all(libc::SIGHUP);
            self.pty.signal_all(libc::SIGCONT);
            return Ok(());
        }
        if by_person
            && matches!(signal, libc::SIGKILL | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT)
        {
            // It may well survive this; only an end that follows is the person's doing.
            self.signalled = Some(steady_ms());
        }
        self.pty.signal(signal).map_err(|e| format!("cannot send signal {signal}: {e}"))
    }

    pub(super) fn end_timer(&mut self) {
        if let Ending::Struck { code, signal, .. } = self.ending {
            return self.ended(code, signal, EndedBy::Itself);
        }
        self.ending = Ending::Asked { at: None };
        self.pty.signal_all(libc::SIGKILL);
    }

    /// The command may have ended.
    pub(super) fn on_child(&mut self) {
        let Some((code, signal)) = self.pty.ended() else { return };
        self.drain();
        let signalled = self.signalled.is_some_and(|at| steady_ms() < at + SIGNALLED_MS);
        let asked = signalled || matches!(self.ending, Ending::Asked { .. });
        let number = signal.or_else(|| code.and_then(|code| code.checked_sub(128)));
        if !asked && matches!(number, Some(libc::SIGHUP | libc::SIGKILL | libc::SIGTERM)) {
            self.ending = Ending::Struck { code, signal, at: steady_ms() + STRUCK_MS };
            return;
        }
        self.ended(code, signal, if asked { EndedBy::Person } else { EndedBy::Itself });
    }

    /// Takes in what the command printed last. Others may still print on its terminal: they are not waited for.
    fn drain(&mut self) {
        let enough = self.history.offset() + MAX_LAST_OUTPUT;
        while self.open && self.history.offset() < enough {
            let before = self.history.offset();
            self.read_output();
            self.take_in();
            if self.history.offset() == before {
                break;
            }
        }
        self.open = false;
    }

    fn ended(&mut self, code: Option<i32>, signal: Option<i32>, by: EndedBy) {
        self.end(Exit { code, signal, at: now_ms(), by, failed: None });
    }

    fn end(&mut self, exit: Exit) {
        self.history.event(
            exit.at,
            &crate::history::Event::Exited { code: exit.code, signal: exit.signal },
        );
        self.history.flush();
        self.judge.exited(&exit);
        self.publish_status();
        self.write_end(&exit);
        let offset = self.screen_offset();
        for client in &mut self.clients {
            match &mut client.role {
                Role::Attached(attached) => {
                    attached.told_end = true;
                    if attached.view == super::View::Behind {
                        client.send(&ToClient::Repaint { offset, bytes: self.term.repaint() });
                        client.attached().expect("as above").view = super::View::Live;
                    }
                    client.send(&ToClient::Exited(exit.clone()));
                }
                Role::Watch => client.send(&ToClient::Exited(exit.clone())),
                Role::Greeting | Role::Control => {}
            }
            client.flush();
        }
        for (client, ask) in self.typed.clear() {
            self.answer_error(client, ask, "the session has ended");
        }
        self.ending = Ending::Over(exit);
        if self.spec.linger == Linger::None {
            self.exit_read();
        }
    }

    /// Writes down how it ended; tried again later if the disk refuses.
    fn write_end(&mut self, exit: &Exit) {
        let screen = self.folder.write_last_screen(&self.term.repaint());
        let written = screen.and_then(|()| self.folder.write_exit(exit));
        self.folder.sync();
        self.write_end_at = match written {
            Ok(()) => None,
            // The folder has been removed: there is nothing left to keep.
            Err(_) if !self.folder.path().exists() => None,
            Err(_) => Some(steady_ms() + WRITE_AGAIN_MS),
        };
    }

    pub(super) fn write_end_again(&mut self) {
        if let Some(exit) = self.exit().cloned() {
            self.write_end(&exit);
        }
    }

    /// Somebody has read the exit status.
    pub(super) fn exit_read(&mut self) {
        if let Ending::Over(exit) = &self.ending {
            self.ending = Ending::Read(exit.clone());
            self.leave_at = Some(steady_ms() + LEAVE_MS);
        }
    }

    /// Whether the hold may go: the end is known to somebody, and every client has got all that was sent.
    pub(super) fn done(&mut self) -> bool {
        let shown = self.clients.iter_mut().any(|client| {
            client.backlog() == 0 && client.attached().is_some_and(|a| a.told_end && !a.read_only)
        });
        if shown {
            self.exit_read();
        }
        matches!(self.ending, Ending::Read(_))
            && self.write_end_at.is_none()
            && (self.clients.iter().all(|c| c.backlog() == 0)
                || self.leave_at.is_some_and(|at| at <= steady_ms()))
    }

    pub(super) fn on_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            if signal == libc::SIGUSR1 {
                self.mend_socket();
            }
            if signal == libc::SIGTERM {
                // The machine goes down, or somebody insists. What is known is kept; the session itself may
                // be started again by its policy, so no exit is written.
                self.take_in();
                self.history.flush();
                std::process::exit(143);
            }
        }
    }
}
