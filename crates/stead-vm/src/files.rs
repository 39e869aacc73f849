//! What the keeper makes in [`crate::spec::Vm::folder`].

/// Takes connections for the agent inside: see [`crate::line`].
pub const AGENT: &str = "agent.sock";
/// The machine's serial console: bytes both ways, for as many as come.
pub const CONSOLE: &str = "console.sock";
/// Takes [`crate::control::Request`]s.
pub const CONTROL: &str = "control.sock";
/// The screen: one line of JSON each way as on [`AGENT`], and then what VNC clients speak.
pub const SCREEN: &str = "screen.sock";
/// The screen as QEMU shows it.
pub const VNC: &str = "vnc.sock";
/// What QEMU said.
pub const QEMU_LOG: &str = "qemu.log";
/// What a person should know of the machine as it runs, a line each; not there while there is nothing.
pub const NOTES: &str = "notes";
/// There since the agent inside was first there in this life of the machine, and knew who it is.
pub const MET: &str = "met";
/// Where the keeper tells how the start goes: whoever started it listens there.
pub const READY: &str = "ready.sock";
