//! A client's visit: let in, greeted, heard, attached, and its terminal's size.

use super::answer;
use super::client::{self, Attached, Client, Role, View};
use super::{Ending, Hold};
use crate::clock::{now_ms, steady_ms};
use crate::history;
use crate::sys;
use stead_wire::handshake;
use stead_wire::message::{Attach, Hello, Purpose, SizeNote, ToClient, ToHold, Welcome};
use stead_wire::session::Size;

/// Time between two attempts to let clients in when there is no descriptor for them, in milliseconds.
const ACCEPT_MS: u64 = 1000;

impl Hold {
    /// Lets in all clients that wait.
    pub(super) fn let_in(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok(stream) => stream,
                Err(e) => {
                    // Whoever waits keeps the socket readable, so it must not be looked at for a while.
                    let none_left = matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
                    self.accept_at = none_left.then(|| steady_ms() + ACCEPT_MS);
                    return;
                }
            };
            let id = self.next_client;
            self.next_client += 1;
            let client = Client::new(id, stream);
            if client.check_peer().is_ok() {
                self.clients.push(client);
                // The hello has usually arrived with the connection.
                self.read_client(self.clients.len() - 1);
            }
        }
    }

    pub(super) fn read_client(&mut self, at: usize) {
        let mut buf = [0; 16 * 1024];
        self.clients[at].receive(&mut buf);
        loop {
            let client = &mut self.clients[at];
            if client.closing() {
                return;
            }
            let mut unread = None;
            let message = match client.decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => match (&client.role, frame.kind) {
                    (Role::Greeting, kind) if kind != stead_wire::message::kind::HELLO => {
                        Err(stead_wire::WireError::NotHello(kind))
                    }
                    _ => ToHold::read(frame).or_else(|e| {
                        // A question of a later version is answered; the connection serves for others.
                        unread = Some((answer::number(frame).ok_or(e)?, client.id));
                        Ok(None)
                    }),
                },
                Err(e) => Err(e),
            };
            if let Some((ask, client)) = unread {
                self.answer_error(client, ask, "this hold does not understand the question");
                continue;
            }
            match message {
                Ok(Some(message)) => self.on_message(at, message),
                Ok(None) => {}
                Err(e) => {
                    let (reason, text) = client::last_words(&e);
                    client.bye(reason, text);
                    client.flush();
                }
            }
        }
        self.clients[at].decoder.trim();
    }

    pub(super) fn on_message(&mut self, at: usize, message: ToHold) {
        match message {
            ToHold::Hello(hello) => self.on_hello(at, hello),
            ToHold::Input(bytes) => {
                if let Some(attached) = self.clients[at].attached()
                    && !attached.read_only
                {
                    self.type_bytes(at, bytes);
                }
            }
            ToHold::Resize(size) => {
                let size = size.clamped();
                let id = self.clients[at].id;
                let Some(attached) = self.clients[at].attached() else { return };
                attached.size = size;
                // What it shows now is of no use to it, whoever owns the size.
                attached.view = View::Behind;
                attached.frame = 0;
                if self.owner == Some(id) {
                    self.set_size(size);
                }
            }
            ToHold::Detach => self.clients[at].bye("detached", "detached"),
            ToHold::Ask(asked) => self.answer(at, asked),
        }
        if let Some(client) = self.clients.get_mut(at) {
            client.flush();
        }
    }

    pub(super) fn on_hello(&mut self, at: usize, hello: Hello) {
        let version = match handshake::agree(handshake::SPOKEN, hello.speaks) {
            Ok(version) => version,
            Err(e) => {
                let (reason, text) = client::last_words(&e);
                return self.clients[at].bye(reason, text);
            }
        };
        if !matches!(self.clients[at].role, Role::Greeting) {
            return self.clients[at].bye("protocol", "a second hello on one connection");
        }
        self.take_in();
        let id = self.clients[at].id;
        if let Purpose::Attach(attach) = &hello.purpose
            && !attach.read_only
            && (attach.take_size || self.owner.is_none())
        {
            self.owner = Some(id);
        }
        let owner = self.owner == Some(id);
        let welcome = Welcome {
            version,
            id: self.spec.id.clone(),
            name: self.spec.name.clone(),
            size: self.term.size(),
            owner,
            output: self.history.offset(),
        };
        match hello.purpose {
            Purpose::Attach(attach) => self.attach(at, &attach, welcome),
            purpose => {
                let client = &mut self.clients[at];
                client.send(&ToClient::Welcome(welcome));
                client.role = Role::Control;
                if matches!(purpose, Purpose::Watch) {
                    client.role = Role::Watch;
                    client.send(&ToClient::Status(self.judge.status().clone()));
                    if let Ending::Over(exit) = &self.ending {
                        client.send(&ToClient::Exited(exit.clone()));
                    }
                }
            }
        }
    }

    pub(super) fn attach(&mut self, at: usize, attach: &Attach, mut welcome: Welcome) {
        let size = attach.size.clamped();
        if let Some(colors) = attach.colors {
            self.term.set_colors(colors);
        }
        if welcome.owner && self.term.size() != size {
            self.set_size(size);
            welcome.size = size;
        }
        let offset = self.screen_offset();
        let screen = self.term.repaint();
        let missed = attach
            .resume
            .and_then(|seen| self.history.offset().checked_sub(seen))
            .map(|missed| missed as usize)
            .filter(|missed| *missed <= self.recent.len() && *missed < screen.len());
        let before = if attach.scrollback > 0 && missed.is_none() {
            self.scrollback(attach.scrollback)
        } else {
            Vec::new()
        };
        let client = &mut self.clients[at];
        client.role = Role::Attached(Attached {
            size,
            read_only: attach.read_only,
            view: View::Live,
            frame: steady_ms(),
            frame_output: 0,
            told_end: false,
        });
        client.send(&ToClient::Welcome(welcome));
        if let Some(missed) = missed {
            let from = self.recent.len() - missed;
            client.send_output(self.history.offset() - missed as u64, &self.recent[from..]);
        } else {
            if !before.is_empty() {
                client.send(&ToClient::Repaint { offset, bytes: before });
            }
            client.send(&ToClient::Repaint { offset, bytes: screen });
            client.send_output(offset, self.term.pending());
        }
        if let Ending::Over(exit) = &self.ending {
            client.send(&ToClient::Exited(exit.clone()));
            client.attached().expect("just attached").told_end = true;
        }
        client.flush();
        self.tell_sizes();
    }

    /// Lines from before the screen, and blank lines that push them and what the client's terminal shows now
    /// out of the way of the repaint.
    pub(super) fn scrollback(&mut self, lines: u32) -> Vec<u8> {
        // Enough for a few hundred lines; whoever attaches waits for it.
        const TAIL: usize = 16 * 1024;
        self.history.flush();
        let tail = history::Reader::open(&self.folder.history()).and_then(|r| r.tail(TAIL));
        let Ok(tail) = tail else { return Vec::new() };
        let size = self.term.size();
        let mut bytes = crate::term::scrollback(&tail.bytes, size, lines as usize);
        bytes.extend(std::iter::repeat_n(b'\n', usize::from(size.rows)));
        bytes
    }

    pub(super) fn set_size(&mut self, size: Size) {
        if self.term.size() == size {
            return;
        }
        self.take_in();
        if self.pty.resize(size).is_err() {
            return;
        }
        self.term.resize(size);
        self.history.event(now_ms(), &history::Event::Resized(size));
        self.tell_sizes();
        for client in &mut self.clients {
            if let Some(attached) = client.attached() {
                attached.view = View::Behind;
                attached.frame = 0;
            }
        }
    }

    pub(super) fn tell_sizes(&mut self) {
        let size = self.term.size();
        let owner = self.owner;
        for client in &mut self.clients {
            if matches!(client.role, Role::Attached(_) | Role::Watch) {
                let note = SizeNote { size, owner: owner == Some(client.id) };
                client.send(&ToClient::Size(note));
            }
        }
    }

    pub(super) fn drop_clients(&mut self) {
        if !self.clients.iter().any(Client::gone) {
            return;
        }
        let left = self.clients.iter().any(|client| client.gone() && client.is_attached());
        self.clients.retain(|client| !client.gone());
        self.accept_at = None;
        sys::trim_memory();
        let owner_left = self
            .owner
            .is_some_and(|id| !self.clients.iter().any(|c| c.id == id && c.is_attached()));
        if owner_left {
            // The size goes to whoever came last and may type.
            let next = self.clients.iter().rev().find_map(|client| match &client.role {
                Role::Attached(a) if !a.read_only => Some((client.id, a.size)),
                _ => None,
            });
            self.owner = next.map(|(id, _)| id);
            match next {
                Some((_, size)) if size != self.term.size() => self.set_size(size),
                _ => self.tell_sizes(),
            }
        } else if left {
            self.tell_sizes();
        }
    }
}
