//! How a change becomes one safe rollout, of every kind of workload.

mod adoption;
mod argo;
mod baseline;
mod changes;
mod cron_jobs;
mod custom_kinds;
mod evicted;
mod foreign;
mod gitops;
mod governor;
mod kinds;
mod owners;
mod rollouts;
mod undo;
