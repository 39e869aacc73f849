//! What kernels and their modules are compressed with, undone by the programs that everybody has for it.

use crate::debian::{ImageError, Tools};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// How compressed content begins, with the program that undoes it and the package that this is in.
const KNOWN: [(&[u8], &str, &str); 4] = [
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz", "xz-utils"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd"),
    (&[0x02, 0x21, 0x4c, 0x18], "lz4", "lz4"),
    (&[0x1f, 0x8b], "gzip", "gzip"),
];

/// What the content of `path` is when it is not compressed.
pub fn unpack(
    name: &str,
    path: &Path,
    content: Vec<u8>,
    tools: &Tools,
) -> Result<Vec<u8>, ImageError> {
    let Some((_, program, package)) = KNOWN.iter().find(|(magic, ..)| content.starts_with(magic))
    else {
        return Ok(content);
    };
    let found = tools.find(program).ok_or_else(|| ImageError::Needs {
        name: name.to_owned(),
        program,
        package,
    })?;
    let mut child = Command::new(&found)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ImageError::at("start", &found))?;
    let input = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            // If it does not read all, it says itself why.
            let _ = input.map(|mut input| input.write_all(&content));
        });
        child.wait_with_output()
    });
    let output = output.map_err(ImageError::at("read from", &found))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(ImageError::Failed {
        program: format!("{} of {}", found.display(), path.display()),
        name: name.to_owned(),
        status: output.status.to_string(),
        told: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    })
}

/// Whether content is compressed with something known.
pub fn packed(content: &[u8]) -> bool {
    KNOWN.iter().any(|(magic, ..)| content.starts_with(magic))
}
