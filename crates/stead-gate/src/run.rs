//! The steward as a program.

use crate::{bind, serve};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use stead_machine::{Engine, Manager};
use stead_steward::holds::RealHolds;
use stead_steward::machines::{Bridges, Machines, Ways};
use stead_steward::{Options, Places, Steward, StewardError};
use tokio::signal::unix::{SignalKind, signal};

/// Why a steward ended that was not asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not begin.
    #[error(transparent)]
    Steward(#[from] StewardError),
    /// What is known of machines cannot be used.
    #[error(transparent)]
    Machines(#[from] stead_machine::Error),
    /// The operating system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Its reason.
        source: io::Error,
    },
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Io { what, source }
}

/// What a steward serves.
pub struct Setup {
    /// Where things lie.
    pub places: Places,
    /// The `stead-hold` program.
    pub hold_program: PathBuf,
    /// What machines run on.
    pub engines: Vec<Arc<dyn Engine>>,
    /// The bridge's command inside machines.
    pub bridge: Vec<String>,
    /// Where running machines hand out connections.
    pub ways: Ways,
}

/// Runs a steward until it is told to stop by a request, SIGTERM or SIGINT. Sessions go on.
///
/// Once clients can connect, `ready\n` is written to `ready` and systemd is told, if it started this.
///
/// # Errors
/// If another steward runs, or its folders or socket cannot be used.
pub fn run(setup: Setup, ready: Option<OwnedFd>) -> Result<(), RunError> {
    let Setup { places, hold_program, engines, bridge, ways } = setup;
    stead_steward::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_stack_size(512 * 1024)
        .build()
        .map_err(failed("start the event loop"))?;
    let result = runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).map_err(failed("watch signals"))?;
        let mut int = signal(SignalKind::interrupt()).map_err(failed("watch signals"))?;
        let hook_command = vec![hold_program.to_string_lossy().into_owned(), "hook".to_owned()];
        let holds = Arc::new(RealHolds { program: hold_program });
        places.create().map_err(StewardError::from)?;
        let manager = Manager::open(&places.data, engines)?;
        let bridges = Arc::new(Bridges::new(manager.clone(), bridge));
        let steward = Steward::start_with(Options { places, holds, hook_command }, bridges)?;
        let machines = Machines::new(steward.clone(), manager, ways);
        let socket = bind(&steward.places().steward_socket()).map_err(failed("make the socket"))?;
        let stop = steward.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            stop.stop();
        });
        if let Some(fd) = ready {
            // Whoever waited for this may be gone; the steward is needed all the same.
            let _ = File::from(fd).write_all(b"ready\n");
        }
        stead_steward::unit::notify_ready();
        let begin = machines.clone();
        tokio::spawn(async move { begin.begin().await });
        serve(steward, Some(machines), socket).await.map_err(failed("serve clients"))
    });
    // Work that blocks, such as removing a large folder, is not waited for: it is done again when asked again.
    runtime.shutdown_background();
    result
}
