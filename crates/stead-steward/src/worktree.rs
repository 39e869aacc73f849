//! A git worktree for a session of its own.
//!
//! It lies beside the repository, in `REPO-worktrees/BRANCH`, where a person and their editor find it. Stead
//! never removes one: it may hold work that is nowhere else.

use crate::StewardError;
use crate::error::one_line;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Makes a worktree of the repository that `cwd` lies in, on `branch`, which is made if it is not there;
/// empty means `stead/SESSION`. Returns the folder in it that corresponds to `cwd`.
///
/// # Errors
/// If there is no repository, or what git says.
pub async fn add(cwd: &Path, branch: &str, session: &str) -> Result<PathBuf, StewardError> {
    let branch = if branch.is_empty() { format!("stead/{session}") } else { branch.to_owned() };
    if branch.starts_with('-')
        || git(cwd, &["check-ref-format", "--branch", &branch]).await.is_err()
    {
        let shown: String = branch.chars().take(60).flat_map(char::escape_debug).collect();
        return Err(StewardError::invalid(format!("\"{shown}\" cannot name a branch")));
    }
    let top = git(cwd, &["rev-parse", "--show-toplevel"]).await.map_err(|why| {
        StewardError::invalid(format!("no worktree can be made in {}: {why}", cwd.display()))
            .with_help("go to a folder of a git repository, or leave out --worktree")
    })?;
    // A worktree made from within a worktree lies beside the main one, too.
    let listed =
        git(cwd, &["worktree", "list", "--porcelain"]).await.map_err(StewardError::failed)?;
    let main = listed.lines().find_map(|line| line.strip_prefix("worktree ")).unwrap_or(&top);
    let main = Path::new(main);
    let mut name = main.file_name().unwrap_or_default().to_owned();
    name.push("-worktrees");
    let folder = main.with_file_name(name).join(branch.replace('/', "-"));
    let path = folder.to_string_lossy().into_owned();
    let known =
        git(cwd, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).await;
    let result = if known.is_ok() {
        git(cwd, &["worktree", "add", "--quiet", &path, &branch]).await
    } else {
        git(cwd, &["worktree", "add", "--quiet", "-b", &branch, &path]).await
    };
    result.map_err(|why| {
        StewardError::failed(format!("git could not make the worktree {path}: {why}"))
            .with_help("another branch, or \"git worktree list\" to see what is there")
    })?;
    let below = cwd.canonicalize().ok();
    let below = below.as_deref().and_then(|cwd| cwd.strip_prefix(&top).ok());
    let inside = below.map_or_else(|| folder.clone(), |below| folder.join(below));
    Ok(if inside.is_dir() { inside } else { folder })
}

async fn git(cwd: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(cwd)
        .args(args)
        // Of a hook or an alias that the steward may have been started from.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| format!("git cannot be run: {e}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    } else {
        let said = one_line(&String::from_utf8_lossy(&output.stderr));
        Err(if said.is_empty() { format!("git says no ({})", output.status) } else { said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn repository(dir: &Path) -> PathBuf {
        let repo = dir.join("app");
        std::fs::create_dir_all(repo.join("src")).unwrap();
        std::fs::write(repo.join("src/a"), "").unwrap();
        let user = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        git(&repo, &["init", "--quiet"]).await.unwrap();
        git(&repo, &["add", "."]).await.unwrap();
        git(&repo, &[&user[..], &["commit", "--quiet", "-m", "first"]].concat()).await.unwrap();
        repo
    }

    #[tokio::test]
    async fn a_worktree_lies_beside_its_repository() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let repo = repository(&root).await;
        let tree = add(&repo.join("src"), "", "fix").await.unwrap();
        assert_eq!(tree, root.join("app-worktrees/stead-fix/src"));
        assert!(tree.join("a").exists());
        let second = add(&tree, "other", "x").await.unwrap();
        assert_eq!(second, root.join("app-worktrees/other/src"));
        let again = add(&repo, "other", "x").await.unwrap_err().problem();
        assert!(again.message.contains("git could not") && again.help.is_some(), "{again:?}");
    }

    #[tokio::test]
    async fn no_repository_and_odd_branches_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = add(dir.path(), "", "fix").await.unwrap_err().to_string();
        assert!(error.contains("no worktree can be made"), "{error}");
        for branch in ["-f", "a..b", "a b"] {
            let error = add(dir.path(), branch, "fix").await.unwrap_err().to_string();
            assert!(error.contains("cannot name a branch"), "{error}");
        }
    }
}
