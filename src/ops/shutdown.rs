//! Signals: the first one asks the process to end in order, the second one ends it at once.

use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

#[cfg(test)]
mod tests;

/// Listens for SIGTERM and SIGINT for as long as the runtime lives.
#[derive(Clone, Debug)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Begins to listen. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the operating system refuses the signal handlers.
    pub fn new() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = CancellationToken::new();
        let mut stage = Stage::Running(token.clone());
        tokio::spawn(async move {
            #[expect(clippy::disallowed_methods, reason = "whoever signals twice wants no orderly end")]
            loop {
                let received = tokio::select! {
                    _ = terminate.recv() => SignalKind::terminate(),
                    _ = interrupt.recv() => SignalKind::interrupt(),
                };
                match stage.next(received) {
                    Ok(stopping) => stage = stopping,
                    Err(code) => process::exit(code),
                }
            }
        });
        Ok(Self(token))
    }

    /// Cancelled by the first signal. Each holder may also cancel it, to end the process in order.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

/// How far signals have brought the process.
#[derive(Debug)]
enum Stage {
    Running(CancellationToken),
    Stopping,
}

impl Stage {
    /// What the signal leads to: the next stage, or the exit code to end with at once.
    fn next(self, received: SignalKind) -> Result<Self, i32> {
        match self {
            Self::Running(token) => {
                info!(signal = name(received), "shutting down; a second signal exits at once");
                token.cancel();
                Ok(Self::Stopping)
            }
            Self::Stopping => {
                warn!(signal = name(received), "second signal received; exiting at once");
                // The shell's convention for "ended by this signal".
                Err(128 + received.as_raw_value())
            }
        }
    }
}

fn name(kind: SignalKind) -> &'static str {
    if kind == SignalKind::terminate() {
        "SIGTERM"
    } else {
        "SIGINT"
    }
}
