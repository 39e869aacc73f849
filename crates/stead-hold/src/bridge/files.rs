//! The files of the sessions' folders, as the steward may ask for them.

use crate::folder::{Folder, Places};
use crate::launch;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use stead_wire::bridge::{FileStat, MAX_READ, check_id, file_path, is_segment};
use stead_wire::session::check_name;

/// The folder of a session that is there.
pub fn known(places: &Places, id: &str) -> Result<Folder, String> {
    let folder = named(places, id)?;
    if folder.path().is_dir() { Ok(folder) } else { Err("there is no such session here".into()) }
}

/// The folder that a session of this id has or would have.
pub fn named(places: &Places, id: &str) -> Result<Folder, String> {
    if check_id(id) {
        Ok(places.session(id))
    } else {
        Err("that is not the id of a session".into())
    }
}

fn open(places: &Places, id: &str, file: &str) -> Result<File, String> {
    let folder = known(places, id)?;
    let path = file_path(file).ok_or("there is no such file")?;
    File::open(folder.path().join(path)).map_err(|e| format!("cannot read {file}: {e}"))
}

pub fn stat(places: &Places, id: &str) -> Result<Vec<FileStat>, String> {
    let folder = known(places, id)?;
    let mut list = Vec::new();
    for dir in [folder.path().to_owned(), folder.history()] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(file) = entry.file_name().into_string() else { continue };
            let whole = file_path(&file).is_some();
            if let Ok(meta) = entry.metadata()
                && whole
                && meta.is_file()
            {
                list.push(FileStat { file, len: meta.len() });
            }
        }
    }
    list.sort_by(|a, b| (is_segment(&a.file), &a.file).cmp(&(is_segment(&b.file), &b.file)));
    Ok(list)
}

pub fn read(places: &Places, id: &str, file: &str, at: u64, len: usize) -> Result<Vec<u8>, String> {
    let file = open(places, id, file)?;
    let mut bytes = vec![0; len.min(MAX_READ)];
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], at.saturating_add(got as u64)) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}

pub fn sum(places: &Places, id: &str, file: &str, len: u64) -> Result<u32, String> {
    checksum_of(open(places, id, file)?, len).map_err(|e| e.to_string())
}

/// The CRC-32 of the first `len` bytes of a file.
///
/// # Errors
/// If it cannot be read, or is shorter.
pub fn checksum(path: &Path, len: u64) -> io::Result<u32> {
    checksum_of(File::open(path)?, len)
}

fn checksum_of(file: File, len: u64) -> io::Result<u32> {
    let mut sum = crc32fast::Hasher::new();
    let mut left = file.take(len);
    let mut buf = vec![0; 64 * 1024];
    loop {
        let n = left.read(&mut buf)?;
        if n == 0 {
            break;
        }
        sum.update(&buf[..n]);
    }
    if left.limit() > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(sum.finalize()) }
}

pub fn remove(places: &Places, id: &str) -> Result<(), String> {
    let folder = named(places, id)?;
    if !folder.path().exists() {
        return Ok(());
    }
    if folder.run().map_err(|e| e.to_string())?.is_some_and(|run| launch::alive(&run)) {
        return Err("it lives".into());
    }
    folder.remove().map_err(|e| e.to_string())?;
    let _ = fs::remove_file(places.hold_socket(id));
    Ok(())
}

pub fn rename(places: &Places, id: &str, name: &str) -> Result<(), String> {
    check_name(name)?;
    known(places, id)?.rename(name).map_err(|e| e.to_string())
}

pub fn mend(places: &Places, id: &str) -> Result<(), String> {
    if let Some(run) = known(places, id)?.run().map_err(|e| e.to_string())? {
        launch::mend_socket(&run);
    }
    Ok(())
}

pub fn signal(places: &Places, id: &str, signal: i32) -> Result<(), String> {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let run = known(places, id)?.run().map_err(|e| e.to_string())?;
    let pid = run.as_ref().and_then(|run| Pid::from_raw(run.hold)).ok_or("it has no hold")?;
    let number = Signal::from_named_raw(signal).ok_or("there is no such signal")?;
    let hold = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| "its hold has ended")?;
    // Only now is the number certain to stay with the process.
    if !run.is_some_and(|run| launch::alive(&run)) {
        return Err("its hold has ended".into());
    }
    pidfd_send_signal(&hold, number).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_files_of_sessions_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let places =
            Places { data: root.join("d"), runtime: root.join("r"), config: root.join("c") };
        let id = "01k8x2m3n4p5q6";
        let folder = places.session(id);
        fs::create_dir_all(folder.history()).unwrap();
        fs::write(folder.path().join("exit.json"), "0123456789").unwrap();
        fs::write(folder.path().join("lock"), "x").unwrap();
        fs::write(folder.history().join("0000000000000000.seg"), "segment").unwrap();
        assert_eq!(read(&places, id, "exit.json", 4, 3).unwrap(), b"456");
        assert_eq!(read(&places, id, "exit.json", 8, 99).unwrap(), b"89");
        let names: Vec<String> = stat(&places, id).unwrap().into_iter().map(|f| f.file).collect();
        assert_eq!(names, ["exit.json", "0000000000000000.seg"]);
        for (id, file) in [(id, "lock"), (id, "../x"), ("..", "exit.json"), ("", "name")] {
            assert!(read(&places, id, file, 0, 9).is_err(), "{id}/{file}");
        }
        assert_eq!(sum(&places, id, "exit.json", 10).unwrap(), crc32fast::hash(b"0123456789"));
        assert!(sum(&places, id, "exit.json", 11).is_err());
    }
}
