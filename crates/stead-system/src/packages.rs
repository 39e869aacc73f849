//! What software is called in Debian and in nixpkgs.

mod names;

/// Packages that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Their names in Debian 12.
    pub debian: &'static [&'static str],
    /// What Debian 12 lacks of them, as the nixpkgs attribute of each: it has to come from elsewhere.
    pub missing: &'static [&'static str],
    /// Their attributes in nixpkgs.
    pub nix: &'static [&'static str],
}

/// An agent as a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent {
    /// What is run.
    pub program: &'static str,
    /// Its attribute in nixpkgs.
    pub nix: &'static str,
    /// Its package at npm, for Debian.
    pub npm: &'static str,
}

/// The attribute in nixpkgs of a package that is named as in Debian. What is called the same in both is not listed; a name that is no
/// Debian one is taken for an attribute.
pub fn nix(debian: &str) -> &str {
    let found = names::NAMES.binary_search_by_key(&debian, |(name, _)| name);
    found.map_or(debian, |at| names::NAMES[at].1)
}

/// Compiler or interpreter of a language, with what builds and checks.
pub fn toolchain(name: &str) -> Option<Set> {
    let set = |debian, missing, nix| Some(Set { debian, missing, nix });
    match name {
        "c" => set(
            &[
                "build-essential",
                "gdb",
                "cmake",
                "ninja-build",
                "pkg-config",
                "clangd",
                "clang-format",
            ],
            &[],
            &["gcc", "gdb", "gnumake", "cmake", "ninja", "pkg-config", "clang-tools"],
        ),
        "rust" => set(
            &["rustc", "cargo", "rust-clippy", "rustfmt", "build-essential"],
            &["rust-analyzer"],
            &["rustc", "cargo", "clippy", "rustfmt", "rust-analyzer", "gcc"],
        ),
        "go" => set(
            &["golang-go", "gopls", "delve"],
            &["golangci-lint"],
            &["go", "gopls", "delve", "golangci-lint"],
        ),
        "node" => set(
            &["nodejs", "npm", "node-typescript"],
            &["pnpm", "typescript-language-server"],
            &["nodejs", "pnpm", "typescript", "typescript-language-server"],
        ),
        "python" => set(
            &["python3", "python3-venv", "python3-pip", "pipx"],
            &["uv", "ruff", "pyright"],
            &["python3", "uv", "ruff", "pyright"],
        ),
        "java" => set(&["default-jdk", "maven", "gradle"], &[], &["jdk", "maven", "gradle"]),
        "ruby" => {
            set(&["ruby", "ruby-dev", "bundler", "build-essential"], &[], &["ruby", "bundler"])
        }
        "haskell" => set(
            &["ghc", "cabal-install", "haskell-stack", "hlint"],
            &["haskell-language-server"],
            &["ghc", "cabal-install", "stack", "hlint", "haskell-language-server"],
        ),
        _ => None,
    }
}

/// A multiplexer, or a program that agents and people work with beside them.
pub fn tool(name: &str) -> Option<Set> {
    let set = |debian, missing, nix| Some(Set { debian, missing, nix });
    match name {
        "zellij" => set(&[], &["zellij"], &["zellij"]),
        "tmux" => set(&["tmux"], &[], &["tmux"]),
        "starship" => set(&[], &["starship"], &["starship"]),
        "atuin" => set(&[], &["atuin"], &["atuin"]),
        "git-tools" => {
            set(&["git", "gh"], &["lazygit", "delta"], &["git", "gh", "lazygit", "delta"])
        }
        "granted" => set(&[], &["granted"], &["granted"]),
        "awscli" => set(&["awscli"], &[], &["awscli2"]),
        _ => None,
    }
}

/// An agent.
pub fn agent(name: &str) -> Option<Agent> {
    let agent = |program, nix, npm| Some(Agent { program, nix, npm });
    match name {
        "claude" => agent("claude", "claude-code", "@anthropic-ai/claude-code"),
        "codex" => agent("codex", "codex", "@openai/codex"),
        "opencode" => agent("opencode", "opencode", "opencode-ai"),
        "gemini" => agent("gemini", "gemini-cli", "@google/gemini-cli"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_none_is_there_twice_or_for_nothing() {
        for pair in names::NAMES.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} comes before {}", pair[1].0, pair[0].0);
        }
        for (debian, nix) in names::NAMES {
            assert_ne!(debian, nix, "it is found without being listed");
        }
    }

    #[test]
    fn what_is_called_otherwise_is_found_and_what_is_not_stays() {
        assert_eq!((nix("fd-find"), nix("ripgrep")), ("fd", "ripgrep"));
        assert_eq!(nix("zsh-syntax-highlighting"), "zsh-syntax-highlighting");
    }

    #[test]
    fn every_word_of_the_stead_file_is_known() {
        for name in ["c", "rust", "go", "node", "python", "java", "ruby", "haskell"] {
            let set = toolchain(name).unwrap();
            assert!(set.missing.iter().all(|attribute| set.nix.contains(attribute)), "{name}");
        }
        for name in ["zellij", "tmux", "starship", "atuin", "git-tools", "granted", "awscli"] {
            let set = tool(name).unwrap();
            assert!(set.missing.iter().all(|attribute| set.nix.contains(attribute)), "{name}");
        }
        assert!(["claude", "codex", "opencode", "gemini"].iter().all(|name| agent(name).is_some()));
    }
}
