//! The ways in: [`stead_wire::api`] over HTTP and JSON on the steward's unix socket.
//!
//! Who may do what is decided here and nowhere below: so far, the socket's owner (and root) may do
//! everything, and nobody else anything. Terminals do not pass through: clients connect to the holds.

mod answer;
mod machines;
mod routes;
mod run;
mod socket;

pub use routes::router;
pub use run::{RunError, Setup, run};
pub use socket::{Socket, bind};

use stead_steward::Steward;
use stead_steward::machines::Machines;

/// Serves clients on `socket` until the steward is asked to stop, then lets requests under way finish.
///
/// # Errors
/// If the socket is lost.
pub async fn serve(
    steward: Steward,
    machines: Option<Machines>,
    socket: Socket,
) -> std::io::Result<()> {
    let stop = steward.clone();
    axum::serve(socket, router(steward, machines))
        .with_graceful_shutdown(async move { stop.stopped().await })
        .await
}
