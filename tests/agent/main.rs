//! The agent as it runs: the real program, volumes that are written exactly as the kubelet writes them,
//! and applications that are processes of their own.

mod answers;
#[path = "../../crates/live/tests/it/kubelet.rs"]
#[expect(dead_code, reason = "shared with the tests of the library, which use more of it")]
mod kubelet;
mod limits;
mod notices;
mod signals;
mod start_and_end;
mod support;
mod validation;
