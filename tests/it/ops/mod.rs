//! How operators run Windlass and what it tells them: namespaces, rights, Events, metrics, alerts, leader election.

mod alerts;
mod dashboard;
mod election;
mod events;
mod namespaces;
mod notifications;
mod process;
mod requests;
mod rights;
#[cfg(feature = "otel")]
mod traces;
