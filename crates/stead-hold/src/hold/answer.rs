//! Answers to questions.

use super::client::Role;
use super::{Ending, Hold};
use crate::clock::now_ms;
use serde::Deserialize;
use serde_json::{Value, json};
use stead_wire::frame::Frame;
use stead_wire::message::{Answer, Ask, Asked, Screen, ToClient, kind};
use stead_wire::session::Session;

/// The number of a question whose rest may be of a later version.
pub(super) fn number(frame: Frame<'_>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Number {
        id: u32,
    }
    let payload = (frame.kind == kind::ASK).then_some(frame.payload)?;
    serde_json::from_slice::<Number>(payload).ok().map(|number| number.id)
}

/// Whether the question changes the session.
fn changes(ask: &Ask) -> bool {
    matches!(
        ask,
        Ask::Type { .. }
            | Ask::Kill { .. }
            | Ask::Hook { .. }
            | Ask::TakeSize { .. }
            | Ask::Rename { .. }
    )
}

impl Hold {
    pub(super) fn answer(&mut self, at: usize, asked: Asked) {
        let client = self.clients[at].id;
        let id = asked.id;
        self.take_in();
        let only_looks = matches!(&self.clients[at].role, Role::Attached(a) if a.read_only);
        if only_looks && changes(&asked.ask) {
            return self.answer_error(client, id, "a client that only looks cannot do that");
        }
        match asked.ask {
            Ask::Barrier => return self.barrier(at, id),
            Ask::Type { bytes } => {
                if !self.open {
                    return self.answer_error(client, id, "the session has ended");
                }
                self.type_bytes(at, bytes);
                return self.barrier(at, id);
            }
            _ => {}
        }
        match self.answer_now(at, asked.ask) {
            Ok(value) => self.answer_ok(client, id, value),
            Err(why) => self.answer_error(client, id, &why),
        }
    }

    fn answer_now(&mut self, at: usize, ask: Ask) -> Result<Value, String> {
        let value = |v| serde_json::to_value(v).map_err(|e: serde_json::Error| e.to_string());
        match ask {
            Ask::Info => value(self.session()),
            Ask::Explain => serde_json::to_value(self.judge.evidence()).map_err(|e| e.to_string()),
            Ask::Screen { format } => {
                serde_json::to_value(self.screen(&format)?).map_err(|e| e.to_string())
            }
            Ask::Kill { signal, by_person } => {
                self.kill(signal, by_person)?;
                Ok(Value::Null)
            }
            Ask::Hook { payload } => {
                // What the agent told its terminal before comes before.
                self.take_in();
                self.judge.hook(&payload, now_ms());
                self.publish_status();
                Ok(Value::Null)
            }
            Ask::TakeSize { size } => {
                let id = self.clients[at].id;
                let attached =
                    self.clients[at].attached().ok_or("only an attached client has a size")?;
                attached.size = size.clamped();
                self.owner = Some(id);
                self.set_size(size.clamped());
                self.tell_sizes();
                Ok(Value::Null)
            }
            Ask::Rename { name } => {
                stead_wire::session::check_name(&name)?;
                self.folder.rename(&name).map_err(|e| e.to_string())?;
                self.spec.name = name;
                Ok(Value::Null)
            }
            Ask::Notify(note) => {
                self.note(&note);
                Ok(Value::Null)
            }
            Ask::Ack => {
                self.exit_read();
                Ok(Value::Null)
            }
            Ask::Flush => {
                self.history.flush();
                match self.history.problem() {
                    None => Ok(json!({ "offset": self.history.offset() })),
                    Some(problem) => Err(problem),
                }
            }
            Ask::Type { .. } | Ask::Barrier => unreachable!("answered by the caller"),
        }
    }

    pub(super) fn answer_ok(&mut self, client: u32, id: u32, ok: Value) {
        self.send_answer(client, Answer { id, ok: Some(ok), error: None });
    }

    pub(super) fn answer_error(&mut self, client: u32, id: u32, why: &str) {
        self.send_answer(client, Answer { id, ok: None, error: Some(why.to_owned()) });
    }

    fn send_answer(&mut self, client: u32, answer: Answer) {
        if let Some(client) = self.clients.iter_mut().find(|c| c.id == client) {
            client.send(&ToClient::Answer(answer));
            client.flush();
        }
    }

    fn screen(&self, format: &str) -> Result<Screen, String> {
        let (cursor_col, cursor_row, cursor_visible) = self.term.cursor();
        let (content, cells) = match format {
            "text" => (self.term.text().join("\n"), None),
            "ansi" => (String::from_utf8_lossy(&self.term.repaint()).into_owned(), None),
            "json" => (self.term.text().join("\n"), Some(self.term.cells())),
            other => return Err(format!("no screen format \"{other}\": text, ansi or json")),
        };
        Ok(Screen {
            size: self.term.size(),
            content,
            cursor_col,
            cursor_row,
            cursor_visible,
            alternate: self.term.alternate(),
            title: self.term.title().to_owned(),
            offset: self.screen_offset(),
            cells,
        })
    }

    /// Everything known of the session.
    pub(super) fn session(&self) -> Session {
        let over = matches!(self.ending, Ending::Over(_) | Ending::Read(_));
        Session {
            id: self.spec.id.clone(),
            name: self.spec.name.clone(),
            machine: self.spec.machine.clone(),
            agent: self.spec.agent.as_ref().map(|a| a.profile.clone()),
            command: self.spec.command.clone(),
            cwd: self.spec.cwd.clone(),
            status: self.judge.status().clone(),
            exit: self.exit().cloned(),
            restart: self.spec.restart,
            size: self.term.size(),
            title: self.term.title().to_owned(),
            created: self.spec.created,
            started: self.run.started,
            active: self.active,
            life: self.run.life,
            pid: (!over).then_some(self.run.pid),
            output: self.history.offset(),
            attached: self.clients.iter().filter(|c| c.is_attached()).count() as u32,
            conversation: self.judge.conversation(),
            report: self.judge.report(),
            warning: self.history.problem(),
        }
    }
}
