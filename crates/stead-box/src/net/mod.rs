//! The network of a sandbox: a namespace with no way out but this process, and its rules.
//!
//! A STAND-IN: namespaces and nothing in them. The version of branch `net` replaces it.
#![allow(missing_docs)]

use crate::spec::Net;
use crate::{sys, userns};
use rustix::fd::{FromRawFd, OwnedFd};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

pub const NAME_SERVER: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 90, 255, 253);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetSetup {
    pub net: Net,
    pub run: PathBuf,
    pub rootless: bool,
    pub name: String,
}

pub fn run() -> ExitCode {
    let made = (|| -> Result<(), String> {
        let setup: NetSetup =
            serde_json::from_reader(std::io::stdin()).map_err(|e| e.to_string())?;
        if setup.rootless {
            userns::own().map_err(|e| e.to_string())?;
        }
        sys::unshare(sys::CLONE_NEWNET).map_err(|e| e.to_string())?;
        sys::loopback_up().map_err(|e| e.to_string())
    })();
    if let Err(e) = made {
        println!("{}", serde_json::json!({ "error": e }));
        return ExitCode::FAILURE;
    }
    println!("{}", serde_json::json!({ "ready": true }));
    let _ = std::io::stdout().flush();
    #[allow(unsafe_code)]
    // SAFETY: descriptor 3 is the lifeline, by contract.
    let mut lifeline = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(3) });
    let _ = lifeline.read(&mut [0]);
    ExitCode::SUCCESS
}
