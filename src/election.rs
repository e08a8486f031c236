//! Who writes: this process alone, or the one of several replicas that holds the Lease.
//!
//! The rules are [`windlass_core::lease`]'s; here are the clock, the conversation with the API server, and
//! the question that each write asks right before it is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tracing::{debug, info, warn};
use windlass_core::lease::{Elector, Holder, LeaseTimes, Monotonic, Step};

use crate::clock::Clock;
use crate::k8s::error::ApiError;
use crate::k8s::lease::{Lease, answer};
use crate::ops::Metrics;

/// Whether this process may write.
#[derive(Clone)]
pub struct WriteGate(Option<Arc<SharedElector>>);

struct SharedElector {
    elector: Mutex<Elector>,
    /// Something was decided outside of the election's own turns.
    poked: Notify,
}

/// How an election ended for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionEnd {
    /// We led, and do not any more: nothing of ours may go on.
    Lost,
    /// We gave it up, or had nothing to give up.
    Released,
}

/// The election, to be run beside everything else.
pub struct Election {
    /// What is decided by it.
    pub write_gate: WriteGate,
    pub lease: Lease,
    /// The way to it.
    pub client: Client,
    /// Failures are counted here.
    pub metrics: Metrics,
    /// For the times in the record.
    pub clock: Clock,
}

/// A name that no other process has: what an earlier one of this pod left behind is not ours.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn identity(host: &str) -> anyhow::Result<Holder> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|_| anyhow::anyhow!("cannot get random bytes for the name of this replica"))?;
    let name = format!("{host}_{:016x}", u64::from_be_bytes(random));
    Ok(Holder::new(&name).expect("it has at least the random part"))
}

/// The time since the machine began, sleep included: a lease does not stop while a machine sleeps.
fn monotonic() -> Monotonic {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Monotonic::new(Duration::new(seconds, nanos))
}

impl WriteGate {
    /// There are no others.
    #[must_use]
    pub fn alone() -> Self {
        Self(None)
    }

    /// One of several.
    #[must_use]
    pub fn elected(me: Holder, times: LeaseTimes) -> Self {
        Self(Some(Arc::new(SharedElector {
            elector: Mutex::new(Elector::new(me, times, monotonic())),
            poked: Notify::new(),
        })))
    }

    /// Whether there are no others.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// How long a write may take that is sent now, `longest` at most. `None`: it must not be sent.
    #[must_use]
    pub fn permit(&self, longest: Duration) -> Option<Duration> {
        match &self.0 {
            None => Some(longest),
            Some(elected) => elected.lock().write_time(monotonic()).map(|left| left.min(longest)),
        }
    }

    /// Sends a write, if it may be sent, under a timeout that ends with the lease at the latest.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] when it may not be sent; else what came of it.
    pub async fn write<T, F>(&self, longest: Duration, send: impl FnOnce(Duration) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let Some(timeout) = self.permit(longest) else {
            return Err(ApiError::Unavailable("this replica is not the leader".to_owned()));
        };
        let result = send(timeout).await;
        if let (Some(elected), Err(ApiError::Unavailable(_) | ApiError::Unexpected(_))) = (&self.0, &result) {
            // It may be carried out yet.
            elected.lock().write_given_up(monotonic());
        }
        result
    }

    /// Waits until writes may be sent.
    pub async fn may_write(&self) {
        let Some(elected) = &self.0 else { return };
        loop {
            let poked = elected.poked.notified();
            let wait = {
                let elector = elected.lock();
                let now = monotonic();
                if elector.write_time(now).is_some() {
                    return;
                }
                elector.writes_from().map(|from| from.since(now))
            };
            match wait {
                Some(wait) => tokio::select! {
                    biased;
                    () = poked => {}
                    () = tokio::time::sleep(wait) => {}
                },
                None => poked.await,
            }
        }
    }

    /// Gives it up, once nothing of ours is under way any more.
    pub fn release(&self) {
        if let Some(elected) = &self.0 {
            elected.lock().release(monotonic());
            elected.poked.notify_waiters();
            elected.poked.notify_one();
        }
    }
}

impl SharedElector {
    fn lock(&self) -> MutexGuard<'_, Elector> {
        self.elector.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Election {
    /// Takes part until it is over for us.
    pub async fn run(self) -> ElectionEnd {
        let WriteGate(Some(elected)) = &self.write_gate else {
            return std::future::pending().await;
        };
        let mut led = false;
        let mut heeded: Option<Holder> = None;
        loop {
            let now = monotonic();
            let step = elected.lock().tick(now, self.clock.now());
            match step {
                Step::Sleep(until) => tokio::select! {
                    biased;
                    () = elected.poked.notified() => {}
                    () = tokio::time::sleep(until.since(now)) => {}
                },
                Step::Call(call, patience) => {
                    let outcome = self.lease.call(&self.client, &call, patience).await;
                    if let Err(error) = &outcome {
                        self.failed(error);
                    }
                    elected.lock().answer(monotonic(), answer(outcome));
                }
                Step::Lost => {
                    warn!("leader election lost");
                    return ElectionEnd::Lost;
                }
                Step::Released => {
                    if led {
                        info!("leader election lease released");
                    }
                    return ElectionEnd::Released;
                }
            }
            let elector = elected.lock();
            if elector.leads() && !led {
                led = true;
                let wait = elector.writes_from().map(|from| from.since(monotonic()));
                info!(writes_in = ?wait.unwrap_or_default(), "became leader");
                elected.poked.notify_waiters();
            } else if !led
                && let Some(holder) = elector.holder()
                && heeded.as_ref() != Some(holder)
            {
                info!(holder = holder.as_str(), "another replica is the leader");
                heeded = Some(holder.clone());
            }
        }
    }

    fn failed(&self, error: &ApiError) {
        match error {
            // Somebody else was faster, which is what the version is for.
            ApiError::Conflict => debug!("another replica wrote the lease first"),
            error => {
                self.metrics.error(error.as_str());
                warn!(%error, "cannot read or write the lease");
            }
        }
    }
}
