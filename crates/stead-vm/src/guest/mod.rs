//! What this program does inside a machine: init, agent.
