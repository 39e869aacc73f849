//! Agents, and what they work with.

use crate::declared::{Agents, GitIdentity};
use crate::form::{Choice, Form, List};
use crate::named::{Named, Texts};
use crate::path::Source;
use crate::table::{Key, Table, rows};
use crate::text::{AGENT, LINE, MAIL, VERSION};

pub(crate) static AGENTS: Table<Agents> = Table {
    what: "`agents`",
    header: "[systems.NAME.agents]",
    doc: "Agents, and what they work with. Credentials are never copied: each logs in for itself.",
    keys: rows!(Agents {
        /// Which are installed.
        install: List { of: Choice(&["claude", "codex", "opencode", "gemini"]), once: "agent", same: String::clone },
            "[]", "[\"claude\", \"codex\"]"
            => |agents, install| agents.install = install;
        /// Versions they stay at. One that is not named here follows its maker.
        versions: Texts { name: AGENT, value: VERSION }, "{}", "{ claude = \"2.1.0\" }",
            elsewhere ["pin", "version"]
            => |agents, versions| agents.versions = versions;
        /// What every user's `~/.claude` is taken from: a folder of this host or a git repository. `CLAUDE.md`, settings,
        /// commands, skills, agents, hooks and MCP servers are; credentials and histories never.
        claude_home: Source, "none", "\"~/.claude\"",
            elsewhere ["claude", "dot_claude"]
            => |agents, source| agents.claude_home = Some(source);
        /// Who commits when an agent does.
        git: Named { table: &GIT, name: AGENT }, "the user", "{ claude = { name = \"Claude for Ada\", email = \"ada+claude@example.org\" } }"
            => |agents, git| agents.git = git;
        /// Programs that keep terminals.
        multiplexers: List { of: Choice(&["zellij", "tmux"]), once: "multiplexer", same: String::clone }, "[]", "[\"zellij\"]"
            => |agents, multiplexers| agents.multiplexers = multiplexers;
        /// Programs beside them: `git-tools` is gh, lazygit, delta.
        tools: List { of: Choice(&["starship", "atuin", "git-tools", "granted", "awscli"]), once: "tool", same: String::clone },
            "[]", "[\"starship\", \"git-tools\"]"
            => |agents, tools| agents.tools = tools;
    }),
};

pub(crate) static GIT: Table<GitIdentity> = Table {
    what: "`git`",
    header: "[systems.NAME.agents.git.AGENT]",
    doc: "Who an agent commits as.",
    keys: rows!(GitIdentity {
        /// The name in its commits.
        name: LINE, "none", "\"Claude for Ada\"", required true => |git, name| git.name = name;
        /// The address in its commits.
        email: MAIL, "none", "\"ada+claude@example.org\"", required true => |git, email| git.email = email;
    }),
};
