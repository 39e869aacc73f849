//! Files of the first root without what only debuggers and builders read: an emulated processor takes long to unpack it.

/// How a signature of a module ends; before it is [`ABOUT`], which ends with the signature's length.
const SIGNED: &[u8] = b"~Module signature appended~\n";
const ABOUT: usize = 12;

/// A module without its signature. Nobody but whoever made the first root put it there, and checking takes an emulated
/// processor half a second.
pub fn module(content: &[u8]) -> &[u8] {
    let without = || {
        let about = content.strip_suffix(SIGNED)?;
        let (_, length) = about.split_last_chunk::<4>()?;
        let signature = u32::from_be_bytes(*length) as usize;
        about.get(..about.len().checked_sub(ABOUT + signature)?)
    };
    without().unwrap_or(content)
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
