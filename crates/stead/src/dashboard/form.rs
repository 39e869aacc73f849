//! The form for a new session.

use super::input::Input;
use crossterm::event::{KeyCode, KeyEvent};
use std::path::{Path, PathBuf};
use stead_wire::api::Create;
use stead_wire::session::check_name;

/// Agents that the form offers. `shell` is a plain command, or the person's shell where none is given.
pub const AGENTS: [&str; 5] = ["claude", "codex", "opencode", "gemini", "shell"];

/// The machine that is this computer.
const HOST: &str = "host";

/// A line of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The session's name.
    Name,
    /// One of [`AGENTS`].
    Agent,
    /// The command, or arguments for the agent.
    Command,
    /// The machine to run on.
    Machine,
    /// The folder to start in.
    Folder,
}

impl Field {
    /// All of them, in the order of the form.
    pub const ALL: [Field; 5] =
        [Field::Name, Field::Agent, Field::Command, Field::Machine, Field::Folder];

    /// What the person sees before the field.
    pub fn label(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::Agent => "agent",
            Field::Command => "command",
            Field::Machine => "machine",
            Field::Folder => "folder",
        }
    }
}

/// What has been filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The name; empty to have one made up.
    pub name: Input,
    /// Index into [`AGENTS`].
    pub agent: usize,
    /// The command, or arguments for the agent.
    pub command: Input,
    /// The machine to run on.
    pub machine: Input,
    /// The folder to start in: of this host, or of the machine. Empty there: where the machine starts sessions.
    pub folder: Input,
    /// This host's folder, which is offered.
    here: PathBuf,
    /// The field that keys go to.
    pub field: Field,
    /// Why it was not accepted.
    pub error: Option<String>,
    /// Whether the steward is at it.
    pub busy: bool,
}

/// What a key did to the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It goes on.
    Edit,
    /// It is given up.
    Cancel,
    /// It is to be done.
    Submit,
}

impl Form {
    /// An empty form for a session on `machine`; on this host in `folder`.
    pub fn new(folder: &Path, agent: usize, machine: &str) -> Self {
        let offered = if machine == HOST { folder } else { Path::new("") };
        Form {
            name: Input::default(),
            agent: agent % AGENTS.len(),
            command: Input::default(),
            machine: Input::new(machine),
            folder: Input::new(&offered.to_string_lossy()),
            here: folder.to_owned(),
            field: Field::Name,
            error: None,
            busy: false,
        }
    }

    /// The text of the field that keys go to, if it is one that is typed.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self.field {
            Field::Name => Some(&mut self.name),
            Field::Agent => None,
            Field::Command => Some(&mut self.command),
            Field::Machine => Some(&mut self.machine),
            Field::Folder => Some(&mut self.folder),
        }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Step {
        match key.code {
            KeyCode::Esc => return Step::Cancel,
            _ if self.busy => {}
            KeyCode::Enter => return Step::Submit,
            KeyCode::Tab | KeyCode::Down => self.go(1),
            KeyCode::BackTab | KeyCode::Up => self.go(Field::ALL.len() - 1),
            KeyCode::Left if self.field == Field::Agent => self.cycle(AGENTS.len() - 1),
            KeyCode::Right | KeyCode::Char(' ') if self.field == Field::Agent => self.cycle(1),
            KeyCode::Char(c) if self.field == Field::Agent => {
                let after = (1..=AGENTS.len()).map(|n| (self.agent + n) % AGENTS.len());
                self.agent =
                    after.into_iter().find(|n| AGENTS[*n].starts_with(c)).unwrap_or(self.agent);
            }
            _ => {
                if self.input().is_some_and(|input| input.key(key)) {
                    self.error = None;
                }
            }
        }
        Step::Edit
    }

    fn go(&mut self, by: usize) {
        let at = Field::ALL.iter().position(|f| *f == self.field).unwrap_or(0);
        self.field = Field::ALL[(at + by) % Field::ALL.len()];
    }

    fn cycle(&mut self, by: usize) {
        self.agent = (self.agent + by) % AGENTS.len();
    }

    /// What the form asks for. Environment and size are for the caller to add.
    ///
    /// # Errors
    /// What is wrong with it; the field at fault is the one that keys go to then.
    pub fn create(&mut self, home: Option<&Path>) -> Result<Create, String> {
        let name = self.name.text().trim().to_owned();
        if !name.is_empty()
            && let Err(why) = check_name(&name)
        {
            self.field = Field::Name;
            return Err(why);
        }
        let command = stead_file::words::split(&self.command.text()).map_err(|why| {
            self.field = Field::Command;
            format!("the command: {why}")
        })?;
        let machine = match self.machine.text().trim() {
            "" => HOST.to_owned(),
            machine => machine.to_owned(),
        };
        let text = self.folder.text();
        let cwd = match text.trim() {
            // A folder of this host means nothing elsewhere.
            text if machine != HOST && (text.is_empty() || Path::new(text) == self.here) => {
                Ok(PathBuf::new())
            }
            text => folder(text, home.filter(|_| machine == HOST)),
        };
        let cwd = cwd.inspect_err(|_| self.field = Field::Folder)?;
        let plain = AGENTS[self.agent] == "shell" && !command.is_empty();
        Ok(Create {
            name: (!name.is_empty()).then_some(name),
            machine: (machine != HOST).then_some(machine),
            agent: (!plain).then(|| AGENTS[self.agent].to_owned()),
            command,
            cwd,
            ..Create::default()
        })
    }
}

fn folder(text: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let path = match (text.strip_prefix('~'), home) {
        (Some(""), Some(home)) => home.to_owned(),
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => PathBuf::from(text),
    };
    if path.is_absolute() { Ok(path) } else { Err("the folder must begin with / or ~".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyModifiers;

    fn press(form: &mut Form, code: KeyCode) -> Step {
        form.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn write(form: &mut Form, text: &str) {
        for c in text.chars() {
            assert_eq!(press(form, KeyCode::Char(c)), Step::Edit);
        }
    }

    #[test]
    fn a_filled_form_says_what_to_create() {
        let mut form = Form::new(Path::new("/src"), 0, "host");
        write(&mut form, "fix");
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Right);
        press(&mut form, KeyCode::Down);
        write(&mut form, "--model 'a b'");
        let create = form.create(None).unwrap();
        assert_eq!(create.name.as_deref(), Some("fix"));
        assert_eq!(create.agent.as_deref(), Some("codex"));
        assert_eq!(create.command, ["--model", "a b"]);
        assert_eq!(create.cwd, Path::new("/src"));
        assert_eq!(press(&mut form, KeyCode::Enter), Step::Submit);
        assert_eq!(press(&mut form, KeyCode::Esc), Step::Cancel);
    }

    #[test]
    fn agents_go_round_and_are_found_by_letter() {
        let mut form = Form::new(Path::new("/"), 0, "host");
        press(&mut form, KeyCode::Tab);
        press(&mut form, KeyCode::Left);
        assert_eq!(AGENTS[form.agent], "shell");
        press(&mut form, KeyCode::Char('c'));
        assert_eq!(AGENTS[form.agent], "claude");
        press(&mut form, KeyCode::Char('c'));
        assert_eq!(AGENTS[form.agent], "codex");
        press(&mut form, KeyCode::Char(' '));
        assert_eq!(AGENTS[form.agent], "opencode");
    }

    #[test]
    fn a_command_in_a_shell_needs_no_agent() {
        let mut form = Form::new(Path::new("/"), 4, "host");
        assert_eq!(form.create(None).unwrap().agent.as_deref(), Some("shell"));
        form.command.insert("htop");
        assert_eq!(form.create(None).unwrap().agent, None);
    }

    #[test]
    fn a_session_on_a_machine_starts_where_the_machine_says() {
        let mut form = Form::new(Path::new("/src"), 0, "box");
        let create = form.create(None).unwrap();
        assert_eq!((create.machine.as_deref(), create.cwd), (Some("box"), PathBuf::new()));
        form.folder = Input::new("/data");
        assert_eq!(form.create(None).unwrap().cwd, Path::new("/data"));
        form.folder = Input::new("~/x");
        assert!(form.create(Some(Path::new("/home/a"))).is_err(), "no home of this host's there");
        // Chosen after the form was opened on this host.
        let mut form = Form::new(Path::new("/src"), 0, "host");
        assert_eq!(form.create(None).unwrap().machine, None);
        form.machine = Input::new(" box ");
        let create = form.create(None).unwrap();
        assert_eq!((create.machine.as_deref(), create.cwd), (Some("box"), PathBuf::new()));
        form.machine = Input::default();
        assert_eq!(form.create(None).unwrap().machine, None);
    }

    #[test]
    fn the_field_at_fault_is_shown() {
        let mut form = Form::new(Path::new("/"), 0, "host");
        form.field = Field::Folder;
        form.name.insert("a b");
        assert!(form.create(None).unwrap_err().contains("' '"));
        assert_eq!(form.field, Field::Name);
        form.name = Input::default();
        form.command.insert("'");
        assert!(form.create(None).is_err());
        assert_eq!(form.field, Field::Command);
        form.command = Input::default();
        form.folder = Input::new("src");
        assert!(form.create(None).is_err());
        assert_eq!(form.field, Field::Folder);
        form.folder = Input::new("~/src");
        assert_eq!(form.create(Some(Path::new("/home/a"))).unwrap().cwd, Path::new("/home/a/src"));
    }
}
