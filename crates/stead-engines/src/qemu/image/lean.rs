//! Files of the first root without what only debuggers and builders read: an emulated processor takes long to unpack it.

/// How a signature of a module ends; before it is [`ABOUT`], which ends with the signature's length.
const SIGNED: &[u8] = b"~Module signature appended~\n";
const ABOUT: usize = 12;

/// Parts of a module that only tools read, which look at how it runs or crashed: types for BPF, what frames of the stack look
/// like, events to be traced. An emulated processor takes half of a module's time to relocate, sort and register them.
const UNREAD: [&str; 6] =
    [".BTF", ".orc_unwind", ".orc_unwind_ip", "_ftrace_events", ".comment", ".gnu_debuglink"];

/// A module without its signature, since nobody but whoever made the first root put it there and checking takes an emulated
/// processor half a second, and without what is [`UNREAD`].
pub fn module(content: &[u8]) -> Vec<u8> {
    let signed = || {
        let about = content.strip_suffix(SIGNED)?;
        let (_, length) = about.split_last_chunk::<4>()?;
        let signature = u32::from_be_bytes(*length) as usize;
        about.get(..about.len().checked_sub(ABOUT + signature)?)
    };
    let content = signed().unwrap_or(content);
    read(content).unwrap_or_else(|| content.to_vec())
}

/// Bytes of the head of an ELF file, and of what describes one of its sections.
const HEAD: usize = 64;
const SECTION: usize = 64;
/// Kinds of sections: one that is none, one that has relocations of another, one without bytes in the file.
const NONE: u64 = 0;
const RELOCATIONS: u64 = 4;
const NO_BITS: u64 = 8;

/// An object file without the sections that are [`UNREAD`] and their relocations. They keep their numbers, as sections that
/// are none, so that what refers to others by number stays right.
fn read(object: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(object.get(at..at.checked_add(bytes)?)?);
        usize::try_from(u64::from_le_bytes(number)).ok()
    };
    // 64 bits, the least significant byte first, to be linked.
    if object.get(..6)? != b"\x7fELF\x02\x01" || number(0x10, 2)? != 1 {
        return None;
    }
    let (table, each, count, names) =
        (number(0x28, 8)?, number(0x3a, 2)?, number(0x3c, 2)?, number(0x3e, 2)?);
    if each != SECTION {
        return None;
    }
    let mut sections: Vec<Vec<u8>> = (0..count)
        .map(|n| object.get(table + n * SECTION..)?.get(..SECTION).map(<[u8]>::to_vec))
        .collect::<Option<_>>()?;
    let field =
        |section: usize, at: usize, bytes: usize| number(table + section * SECTION + at, bytes);
    let strings = object.get(field(names, 24, 8)?..)?;
    let unread = |n: usize| -> Option<bool> {
        let name = strings.get(field(n, 0, 4)?..)?.split(|byte| *byte == 0).next()?;
        Some(UNREAD.iter().any(|unread| unread.as_bytes() == name))
    };
    let mut lean = object.get(..HEAD)?.to_vec();
    for (n, section) in sections.iter_mut().enumerate() {
        let kind = field(n, 4, 4)? as u64;
        if unread(n)? || (kind == RELOCATIONS && unread(field(n, 44, 4)?)?) {
            section.fill(0);
        } else if kind != NONE && kind != NO_BITS {
            let bytes = object.get(field(n, 24, 8)?..)?.get(..field(n, 32, 8)?)?;
            lean.resize(lean.len().next_multiple_of(field(n, 48, 8)?.max(1)), 0);
            section[24..32].copy_from_slice(&(lean.len() as u64).to_le_bytes());
            lean.extend_from_slice(bytes);
        }
    }
    lean.resize(lean.len().next_multiple_of(8), 0);
    let at = (lean.len() as u64).to_le_bytes();
    lean[0x28..0x30].copy_from_slice(&at);
    lean.extend(sections.concat());
    Some(lean)
}

/// A program without its table of symbols: what is loaded of it, and nothing behind that.
pub fn program(content: &[u8]) -> Vec<u8> {
    let loaded = || {
        let number = |at: usize, bytes: usize| -> Option<u64> {
            let mut number = [0; 8];
            number[..bytes].copy_from_slice(content.get(at..at + bytes)?);
            Some(u64::from_le_bytes(number))
        };
        // 64 bits, the least significant byte first.
        if content.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let (table, each, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
        let mut end = table + each * count;
        for n in 0..count {
            let at = usize::try_from(table + n * each).ok()?;
            end = end.max(number(at + 8, 8)?.checked_add(number(at + 32, 8)?)?);
        }
        let mut lean = content.get(..usize::try_from(end).ok()?)?.to_vec();
        // The table of sections is behind.
        lean.get_mut(0x28..0x30)?.fill(0);
        lean.get_mut(0x3c..0x40)?.fill(0);
        Some(lean)
    };
    loaded().unwrap_or_else(|| content.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_module_loses_its_signature_and_nothing_else() {
        let mut signed = b"module".to_vec();
        signed.extend([7; 300]);
        signed.extend([0, 0, 2, 0, 0, 0, 0, 0]);
        signed.extend(300_u32.to_be_bytes());
        signed.extend(SIGNED);
        assert_eq!(module(&signed), b"module");
        assert_eq!(module(b"module"), b"module");
        assert_eq!(module(SIGNED), SIGNED);
    }

    #[test]
    fn a_module_loses_what_nobody_reads_and_keeps_the_numbers_of_the_rest() {
        let names = b"\0.text\0.BTF\0.orc_unwind_ip\0.rela.orc_unwind_ip\0.data\0.names\0";
        let at = |name: &[u8]| names.windows(name.len()).position(|part| part == name).unwrap();
        let content: [(&[u8], u32, u32, &[u8]); 7] = [
            (b"\0", 0, 0, b""),
            (b".text\0", 1, 0, b"program"),
            (b".BTF\0", 1, 0, b"types"),
            (b".orc_unwind_ip\0", 1, 0, b"frames"),
            (b".rela.orc_unwind_ip\0", 4, 3, b"of frames"),
            (b".data\0", 1, 0, b"what it knows"),
            (b".names\0", 3, 0, names),
        ];
        let mut object = b"\x7fELF\x02\x01\x01".to_vec();
        object.resize(HEAD, 0);
        object[0x10] = 1;
        let mut table = Vec::new();
        for (name, kind, of, bytes) in content {
            let mut section = [0; SECTION];
            section[..4].copy_from_slice(&(at(name) as u32).to_le_bytes());
            section[4..8].copy_from_slice(&kind.to_le_bytes());
            section[24..32].copy_from_slice(&(object.len() as u64).to_le_bytes());
            section[32..40].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            section[44..48].copy_from_slice(&of.to_le_bytes());
            section[48] = 4;
            table.extend(section);
            object.extend(bytes);
        }
        let sections = (object.len() as u64).to_le_bytes();
        object[0x28..0x30].copy_from_slice(&sections);
        (object[0x3a], object[0x3c], object[0x3e]) = (SECTION as u8, 7, 6);
        object.extend(table);

        let lean = module(&object);
        let number = |at: usize| u64::from_le_bytes(lean[at..at + 8].try_into().unwrap()) as usize;
        let table = number(0x28);
        let bytes = |n: usize| {
            let (at, size) = (number(table + n * SECTION + 24), number(table + n * SECTION + 32));
            (at % 4, &lean[at..at + size])
        };
        assert_eq!(bytes(1), (0, &b"program"[..]));
        assert_eq!(bytes(5), (0, &b"what it knows"[..]));
        assert_eq!(bytes(6), (0, &names[..]));
        for gone in 2..5 {
            assert_eq!(lean[table + gone * SECTION..][..SECTION], [0; SECTION]);
        }
        assert!(!lean.windows(6).any(|part| part == b"frames"));
        // What cannot be understood stays as it is.
        assert_eq!(module(&object[..object.len() - 1]), object[..object.len() - 1]);
    }

    #[test]
    fn a_program_runs_without_its_symbols() {
        let own = std::env::current_exe().unwrap();
        let content = std::fs::read(own).unwrap();
        let lean = program(&content);
        assert!(lean.len() < content.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lean");
        std::fs::write(&path, lean).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(&path).arg("--list").output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("without_its_symbols"));
        assert_eq!(program(b"#!/bin/sh"), b"#!/bin/sh");
    }
}
