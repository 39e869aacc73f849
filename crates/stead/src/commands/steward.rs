//! `stead steward`.

use super::{print, print_json};
use crate::cli::Steward as Command;
use crate::failure::{Failure, Outcome};
use crate::steward::Steward;
use serde_json::json;
use std::io::Write;
use std::sync::Arc;
use stead_engines::host::Host;
use stead_engines::qemu;
use stead_engines::sandbox::{self, Sandbox};
use stead_gate::Setup;
use stead_hold::clock::now_ms;
use stead_hold::folder::Places;
use stead_hold::launch;
use stead_machine::Engine;
use stead_steward::unit::{self, Scope};

pub fn run(command: &Command) -> Outcome {
    match command {
        Command::Run { background } => serve(*background),
        Command::Start => {
            let steward = Steward::of_user()?;
            if steward.answers() {
                print(b"the steward runs already\n")?;
                return Ok(0);
            }
            steward.start()?;
            status(false)
        }
        Command::Stop => stop().map(|()| 0),
        Command::Restart => {
            stop()?;
            Steward::of_user()?.start()?;
            status(false)
        }
        Command::Status(json) => status(json.json),
        Command::Install { system, print: only_print } => install(*system, *only_print),
        Command::Uninstall { system } => {
            for done in unit::uninstall(scope(*system))? {
                print(format!("{done}\n").as_bytes())?;
            }
            Ok(0)
        }
    }
}

fn serve(background: bool) -> Outcome {
    if background {
        // Out of the session of whoever started it: their hangup is not ours.
        let _ = rustix::process::setsid();
    }
    let places = Places::from_env()?;
    let ready = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)
        .map_err(std::io::Error::from)?;
    let told = background.then(|| ready.try_clone()).transpose()?;
    if background {
        // The pipe is for whoever waits for `ready`, or for the reason why not.
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null).map_err(std::io::Error::from)?;
    }
    stead_gate::run(setup(places), Some(ready)).map_err(|e| {
        let failure = Failure::from(e);
        if let Some(told) = told {
            // Nobody listens once it has been ready.
            let _ = writeln!(std::fs::File::from(told), "{failure}");
        }
        failure
    })?;
    Ok(0)
}

/// All that a steward serves: this is where engines are chosen.
fn setup(places: Places) -> Setup {
    let hold_program = launch::program();
    let programs = sandbox::Programs { sandbox: sandbox::program(), hold: hold_program.clone() };
    let engines: Vec<Arc<dyn Engine>> = vec![
        Arc::new(Host),
        Arc::new(Sandbox::new(&places.data, &places.runtime, programs)),
        Arc::new(qemu::engine(&places.data, &places.runtime, &hold_program)),
    ];
    let (data, runtime) = (places.data.clone(), places.runtime.clone());
    let ways = move |name: &str| sandbox::socket(&data, &runtime, name);
    Setup { places, hold_program, engines, bridge: sandbox::bridge(), ways: Arc::new(ways) }
}

fn stop() -> Result<(), Failure> {
    let steward = Steward::of_user()?;
    let Some(version) = steward.version() else { return Ok(()) };
    if let Some(pid) = rustix::process::Pid::from_raw(version.pid) {
        crate::steward::end(pid)?;
    }
    Ok(())
}

fn status(json: bool) -> Outcome {
    let steward = Steward::of_user()?;
    let Some(version) = steward.version() else {
        if json {
            print_json(&json!({ "running": false }))?;
        } else {
            print(b"the steward does not run; it starts with the next command that needs it\n")?;
        }
        return Ok(1);
    };
    if json {
        let mut value = serde_json::to_value(&version)?;
        value["running"] = true.into();
        print_json(&value)?;
        return Ok(0);
    }
    let age = crate::present::age(version.started, now_ms());
    print(
        format!(
            "the steward runs: version {}, process {}, since {age}\n",
            version.version, version.pid
        )
        .as_bytes(),
    )?;
    for message in version.messages {
        print(format!("  {message}\n").as_bytes())?;
    }
    Ok(0)
}

fn install(system: bool, only_print: bool) -> Outcome {
    let program = std::env::current_exe()?;
    if only_print {
        print(unit::render(scope(system), &program)?.as_bytes())?;
        return Ok(0);
    }
    // One that was started by hand would keep the unit's from starting.
    stop()?;
    for done in unit::install(scope(system), &program)? {
        print(format!("{done}\n").as_bytes())?;
    }
    Ok(0)
}

fn scope(system: bool) -> Scope {
    if system { Scope::System } else { Scope::User }
}
