//! `stead system device`: a phone or laptop joins a machine's WireGuard.

use super::super::print;
use super::whole;
use crate::cli::Device as Arguments;
use crate::failure::{Failure, Outcome};
use crate::{secrets, stead_file};
use ::stead_file::declared::OverlayKind;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use std::io::Write;
use std::process::{Command, Stdio};
use stead_system::wireguard::{Device, PORT, next};

pub fn run(args: &Arguments) -> Outcome {
    let file = stead_file::read(args.file.file.as_deref())?;
    let whole = whole(&file, &args.machine)?;
    let overlay = &whole.system.overlay;
    let key = overlay.key.as_deref().filter(|_| overlay.kind == OverlayKind::Wireguard);
    let Some(key) = key else {
        return Err(Failure::misused(format!("system \"{}\" has no WireGuard", whole.name))
            .help("write `overlay = { kind = \"wireguard\", key = \"wireguard\", address = \"10.9.0.1/24\" }`"));
    };
    let Some((address, network)) = next(overlay) else {
        return Err(Failure::failed("no address is left in the overlay's network")
            .help("give `overlay.address` fewer bits"));
    };
    let own = secrets::read(&[key])?;
    let server = wg("pubkey", own.get(key).map_or("", String::as_str))?;
    let private = wg("genkey", "")?;
    let public = wg("pubkey", &private)?;
    let endpoint = if args.endpoint.contains(':') {
        args.endpoint.clone()
    } else {
        format!("{}:{PORT}", args.endpoint)
    };
    let config = Device { private, address, server, endpoint, network }.config();
    if args.config {
        print(config.as_bytes())?;
    } else {
        let code = QrCode::new(config.as_bytes())
            .map_err(|e| Failure::failed(format!("its configuration fits no QR code: {e}")))?;
        let picture = code
            .render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        print(format!("{picture}\n").as_bytes())?;
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    eprintln!(
        "It is shown once. Add the device to `peers` of the overlay, and switch the machine:"
    );
    eprintln!("  \"{public} {address}/{bits}\"");
    Ok(0)
}

/// Asks WireGuard's own program, which reads a key on its standard input.
fn wg(what: &str, input: &str) -> Result<String, Failure> {
    let missing = |e: std::io::Error| {
        Failure::failed(format!("cannot run wg: {e}")).help("apt install wireguard-tools")
    };
    let mut child = Command::new("wg")
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // What reads nothing may have ended.
        let _ = stdin.write_all(format!("{}\n", input.trim()).as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::failed(format!("wg {what}: {why}"))
            .help("the secret of `overlay.key` is a private key, as `wg genkey` makes one"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
