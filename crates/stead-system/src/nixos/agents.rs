//! Agents: installed for all, pinned where that is declared.

use super::expr::{Expr, Piece, Set, before, code};
use super::flake::Input;
use super::host::Host;
use super::layout::layout;
use crate::packages;
use std::collections::BTreeSet;

/// What is installed; the rest is said.
pub(super) fn render(host: &mut Host<'_>) -> Vec<Expr> {
    let agents = &host.whole.system.agents;
    if agents.install.is_empty() {
        return Vec::new();
    }
    host.import("modules/agents.nix");
    let names: BTreeSet<&String> = agents.install.iter().collect();
    host.gap("");
    if names.iter().any(|name| *name == "claude") {
        let version = agents.versions.get("claude").cloned();
        let input = host.context.claude.get(&version).cloned().unwrap_or("claude-code".into());
        let url = "github:sadjow/claude-code-nix";
        let url = version.map_or_else(|| url.to_owned(), |version| format!("{url}?ref=v{version}"));
        host.input(
            &input,
            Input::flake(url, "Claude Code as soon as it is out: nixpkgs has it weeks later."),
        );
        host.put("nixpkgs.overlays", vec![code(format!("inputs.{input}.overlays.default"))]);
        if !(host.whole.has("llm") && host.whole.system.llm.cuda) {
            let allowed = "pkg: builtins.elem (lib.getName pkg) [ \"claude-code\" ]";
            host.put("nixpkgs.config.allowUnfreePredicate", code(allowed));
        }
    }
    let (mut all, mut pinned) = (Vec::new(), Vec::new());
    for name in names {
        let Some(agent) = packages::agent(name) else { continue };
        all.push(match agents.git.get(name) {
            None => code(format!("pkgs.{}", agent.nix)),
            Some(git) => wrapped(&agent, &git.name, &git.email),
        });
        if let Some(version) = agents.versions.get(name).filter(|_| name != "claude") {
            let assertion = Expr::from(version.as_str());
            let equals = format!("pkgs.{}.version == {}", agent.nix, layout(&assertion, 0, 0));
            let message =
                format!("{} is to stay at {version}, and nixpkgs has another one", agent.nix);
            pinned.push(Set::new().put("assertion", code(equals)).put("message", message));
        }
    }
    if !pinned.is_empty() {
        host.say("Another version is refused rather than installed.").put("assertions", pinned);
    }
    all
}

/// An agent that commits as somebody of its own.
fn wrapped(agent: &packages::Agent, name: &str, email: &str) -> Expr {
    let text = |text: &str| layout(&Expr::from(text), 0, 0);
    let mut pieces = vec![Piece::Text(format!("wrapProgram $out/bin/{}", agent.program))];
    for (variable, value) in [
        ("GIT_AUTHOR_NAME", name),
        ("GIT_AUTHOR_EMAIL", email),
        ("GIT_COMMITTER_NAME", name),
        ("GIT_COMMITTER_EMAIL", email),
    ] {
        pieces.push(Piece::Text(format!(" \\\n  --set {variable} ")));
        pieces.push(Piece::Code(format!("lib.escapeShellArg {}", text(value))));
    }
    pieces.push(Piece::Text("\n".into()));
    let set = Set::new()
        .put("name", agent.nix)
        .put("paths", vec![code(format!("pkgs.{}", agent.nix))])
        .put("nativeBuildInputs", vec![code("pkgs.makeWrapper")])
        .say("It commits as itself, whoever runs it.")
        .put("postBuild", Expr::Lines(pieces));
    before("pkgs.symlinkJoin", set)
}
