//! A hold's socket on this host, for a hold inside a machine: whoever connects is carried there.

use super::machine::Machine;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stead_wire::bridge::{Ask, Move, ToBridge};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long a client waits for a bridge that is just being connected again.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the bridge may take to connect to a hold.
const OPEN: Duration = Duration::from_secs(10);
/// Pause while no descriptor is left for another client.
const PAUSE: Duration = Duration::from_millis(100);

/// An open door. It closes when this is dropped; clients inside stay.
pub struct Door {
    path: PathBuf,
    inode: u64,
    task: AbortHandle,
}

impl Door {
    /// Listens where a hold of this host would.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    pub fn open(machine: &Arc<Machine>, id: &str, path: &Path) -> io::Result<Self> {
        let beside = path.with_extension("new");
        let _ = std::fs::remove_file(&beside);
        let listener = UnixListener::bind(&beside)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let inode = std::fs::metadata(&beside)?.ino();
        std::fs::rename(&beside, path)?;
        let (machine, id) = (Arc::downgrade(machine), id.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let client = listener.accept().await;
                let Some(machine) = machine.upgrade() else { return };
                match client {
                    Ok((client, _)) if stead_wire::peer::check(&client).is_ok() => {
                        let visit = visit(machine.clone(), id.clone(), client);
                        machine.keep(tokio::spawn(visit).abort_handle());
                    }
                    Ok(_) => {}
                    Err(_) => sleep(PAUSE).await,
                }
            }
        });
        Ok(Door { path: path.to_owned(), inode, task: task.abort_handle() })
    }

    /// Whether the socket is still where it was made.
    pub fn stands(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|meta| meta.ino() == self.inode)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
        if self.stands() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Carries one client.
async fn visit(machine: Arc<Machine>, id: String, client: UnixStream) {
    let Ok(Some(link)) = timeout(PATIENCE, machine.connected()).await else { return };
    let pipe = link.join(client, false);
    // What the client says first may follow at once: the bridge hears it after this.
    let opened = link.ask::<()>(Ask::Open { id, channel: pipe.number() }, OPEN);
    let mut run = std::pin::pin!(pipe.run(&link));
    tokio::select! {
        biased;
        opened = opened => match opened {
            Ok(()) => run.await,
            Err(_) => link.put(&ToBridge::Channel(pipe.number(), Move::Close(""))),
        },
        () = &mut run => {}
    }
    link.part(pipe.number());
}
