//! `stead cp`: files into and out of a machine, as a tar stream through its door.
//!
//! What comes out of a machine is not trusted: it is unpacked by us, into the folder that was named and nowhere else.

use super::{door, print_json};
use crate::cli::Cp;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use serde::Serialize;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

/// What the script inside ends with if a path is not there; neither a shell nor tar does.
const NOT_THERE: i32 = 66;

/// One end of a copy.
enum End {
    Here(PathBuf),
    In { machine: String, path: String },
}

pub fn run(args: &Cp) -> Outcome {
    let machine = match (end(&args.from), end(&args.to)) {
        (End::Here(from), End::In { machine, path }) if from == Path::new("-") => {
            return Err(no_stream(&format!("sh -c 'cat > {path}'"), &machine));
        }
        (End::In { machine, path }, End::Here(to)) if to == Path::new("-") => {
            return Err(no_stream(&format!("cat {path}"), &machine));
        }
        (End::Here(from), End::In { machine, path }) => {
            into(&from, &machine, &path)?;
            machine
        }
        (End::In { machine, path }, End::Here(to)) => {
            out_of(&machine, &path, &to)?;
            machine
        }
        (End::Here(_), End::Here(_)) => {
            return Err(Failure::misused("neither of the two is in a machine")
                .help("a path in a machine is MACHINE:PATH"));
        }
        (End::In { .. }, End::In { .. }) => {
            return Err(Failure::misused("one of the two must be on this host")
                .help("copy here first, then there"));
        }
    };
    if args.json.json {
        print_json(&Copied { machine: &machine, from: &args.from, to: &args.to })?;
    }
    Ok(0)
}

/// What `--json` prints once all is there.
#[derive(Serialize)]
struct Copied<'a> {
    machine: &'a str,
    from: &'a str,
    to: &'a str,
}

fn no_stream(instead: &str, machine: &str) -> Failure {
    Failure::misused("cp copies files and folders; - is neither")
        .help(format!("stead exec {machine} -- {instead} has a stream; a file called - is ./-"))
}

/// `box:/etc` is in a machine, `./box:x` and `/a:b` are here, as with scp.
fn end(text: &str) -> End {
    match text.split_once(':') {
        Some((machine, path)) if !machine.is_empty() && !machine.contains('/') => {
            let path = if path.is_empty() { "." } else { path };
            End::In { machine: machine.to_owned(), path: path.to_owned() }
        }
        _ => End::Here(PathBuf::from(text)),
    }
}

/// Copies a file or folder of this host into a machine.
///
/// # Errors
/// If it is not there, or the machine does not take it.
pub fn into(from: &Path, machine: &str, to: &str) -> Result<(), Failure> {
    from.symlink_metadata().map_err(|e| {
        Failure::failed(format!("cannot read {}: {e}", from.display()))
            .help("the first path is what is copied, the second where to")
    })?;
    let name = last(from)
        .or_else(|| from.canonicalize().ok().as_deref().and_then(last))
        .ok_or_else(|| Failure::misused(format!("{} has no name", from.display())))?;
    let steward = Steward::of_user()?;
    // Into a folder under its own name, else under the name that was given, once all of it is there.
    let script = "if [ -d \"$1\" ]; then exec tar -xf - --no-same-owner -C \"$1\"; fi; \
                  [ -d \"$(dirname -- \"$1\")\" ] || exit 66; \
                  in=$(mktemp -d -- \"$(dirname -- \"$1\")/.stead-cp-XXXXXX\") || exit 1; \
                  tar -xf - --no-same-owner -C \"$in\" && mv -f -- \"$in/$2\" \"$1\"; \
                  ended=$?; rm -rf -- \"$in\"; exit $ended";
    let words = ["/bin/sh", "-c", script, "sh", to, &name].map(String::from);
    let mut child = door::command(&steward, machine, None, &[], &words)?
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let pipe = child.stdin.take().ok_or_else(|| Failure::failed("no way to the machine"))?;
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 16, pipe));
    tar.follow_symlinks(false);
    let inside = Path::new(".").join(&name);
    let packed = if from.is_dir() {
        tar.append_dir_all(&inside, from)
    } else {
        tar.append_path_with_name(from, &inside)
    };
    let packed = packed.and_then(|()| tar.into_inner()).and_then(|mut pipe| pipe.flush());
    let status = child.wait()?;
    if status.code() == Some(NOT_THERE) {
        return Err(Failure::failed(format!("machine \"{machine}\" has no folder for {to}"))
            .help(format!("stead exec {machine} -- mkdir -p FOLDER makes one")));
    }
    match packed {
        // The machine reads no more, and has said why.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe && !status.success() => {}
        Err(e) => return Err(Failure::failed(format!("cannot copy {}: {e}", from.display()))),
        Ok(()) => {}
    }
    if !status.success() {
        return Err(Failure::failed(format!("{machine}: tar ended with {status}")));
    }
    Ok(())
}

/// Copies a file or folder out of a machine.
///
/// # Errors
/// If it is not there, or cannot be unpacked here.
pub fn out_of(machine: &str, from: &str, to: &Path) -> Result<(), Failure> {
    let steward = Steward::of_user()?;
    let script = "[ -e \"$1\" ] || [ -L \"$1\" ] || exit 66; \
                  cd -- \"$(dirname -- \"$1\")\" && exec tar -cf - -- \"$(basename -- \"$1\")\"";
    let words = ["/bin/sh", "-c", script, "sh", from].map(String::from);
    let mut child = door::command(&steward, machine, None, &[], &words)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = child.stdout.take().ok_or_else(|| Failure::failed("no way to the machine"))?;
    let unpacked = unpack(pipe, to);
    if unpacked.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    unpacked?;
    if status.code() == Some(NOT_THERE) {
        return Err(Failure::failed(format!("machine \"{machine}\" has no {from}"))
            .help("a path without / at its beginning starts at the home of root there"));
    }
    if status.success() {
        Ok(())
    } else {
        Err(Failure::failed(format!("{machine}: tar ended with {status}")))
    }
}

/// Unpacks one file or folder: into a folder under its own name, else under the name that was given.
fn unpack(from: impl std::io::Read, to: &Path) -> Result<(), Failure> {
    let into_folder = to.is_dir();
    let (folder, rename) = if into_folder {
        (to.to_owned(), None)
    } else {
        let folder = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let name =
            last(to).ok_or_else(|| Failure::misused(format!("{} has no name", to.display())))?;
        (folder, Some(name))
    };
    let mut archive = tar::Archive::new(std::io::BufReader::with_capacity(1 << 16, from));
    if !folder.is_dir() {
        return Err(Failure::failed(format!("there is no folder {}", folder.display()))
            .help("mkdir -p makes it"));
    }
    // Beside the target first: links in the stream can lead only to what the stream itself brought.
    let beside = tempfile::Builder::new().prefix(".stead-cp-").tempdir_in(&folder)?;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_block_special() || kind.is_character_special() || kind.is_fifo() {
            continue;
        }
        if !entry.unpack_in(beside.path())? {
            return Err(Failure::failed(
                "the machine sent a path that leads elsewhere: nothing more is unpacked",
            ));
        }
    }
    for entry in std::fs::read_dir(beside.path())? {
        let entry = entry?;
        let name =
            rename.clone().unwrap_or_else(|| entry.file_name().to_string_lossy().into_owned());
        place(&entry.path(), &folder.join(name))?;
    }
    Ok(())
}

/// Moves what was unpacked to its place; folders are merged, files replaced. Links that are in the way are not followed.
fn place(from: &Path, to: &Path) -> Result<(), Failure> {
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if is_folder(from) && is_folder(to) {
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            place(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    std::fs::rename(from, to)
        .map_err(|e| Failure::failed(format!("cannot write {}: {e}", to.display())))
}

/// The last part of a path, if it is a name.
fn last(path: &Path) -> Option<String> {
    match path.components().next_back() {
        Some(Component::Normal(name)) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert!(
            matches!(end("box:/etc"), End::In { machine, path } if machine == "box" && path == "/etc")
        );
        assert!(matches!(end("box:"), End::In { path, .. } if path == "."));
        assert!(matches!(end("./a:b"), End::Here(_)));
        assert!(matches!(end("/a:b"), End::Here(_)));
        assert!(matches!(end(":x"), End::Here(_)));
    }

    fn archive(paths: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, link) in paths {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            let body: &[u8] = if *kind == tar::EntryType::Regular { b"text" } else { b"" };
            header.set_size(body.len() as u64);
            // Written by hand: the library refuses to write such paths.
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            if !link.is_empty() {
                header.set_link_name_literal(link).unwrap();
            }
            header.set_cksum();
            tar.append(&header, body).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn what_a_machine_sends_stays_where_it_was_asked_to_go() {
        use tar::EntryType::{Regular, Symlink};
        let dir = tempfile::tempdir().unwrap();
        let (outside, inside) = (dir.path().join("outside"), dir.path().join("inside"));
        std::fs::create_dir(&outside).unwrap();
        std::fs::create_dir(&inside).unwrap();
        let out = outside.to_str().unwrap();
        // Through a link that the stream planted, and by a path that climbs.
        let _ = unpack(&archive(&[("l", Symlink, out), ("l/f", Regular, "")])[..], &inside);
        assert!(unpack(&archive(&[("../outside/f", Regular, "")])[..], &inside).is_err());
        // Over a link that is there already.
        std::os::unix::fs::symlink(&outside, inside.join("d")).unwrap();
        let _ = unpack(&archive(&[("d/f", Regular, "")])[..], &inside);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        unpack(&archive(&[("a", Regular, "")])[..], &inside.join("b")).unwrap();
        assert_eq!(std::fs::read_to_string(inside.join("b")).unwrap(), "text");
    }
}
