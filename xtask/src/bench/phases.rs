//! Times in which one of the two is measured: CPU, changes and requests are counted within them.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::{
    audit::Window,
    figures::{CHANGES, Pair, Phases},
    layout::Subject,
    measure::Changer,
    start::{Running, Site},
    usage::{self, Memory},
};
use crate::{cpu, kinds::Kind, workloads::Observer};

/// The two, and what has been counted so far.
pub struct Bench<'a> {
    observer: &'a Observer,
    pub floor: Changer<'a>,
    pub windlass: Changer<'a>,
    pids: Pair<u32>,
    pub phases: Phases,
}

impl<'a> Bench<'a> {
    /// Nothing has been changed yet.
    pub fn new(site: &Site<'a>, observer: &'a Observer, running: &Running) -> Result<Self> {
        let floor = vec![(Kind::Deployment, site.sizes.floor_deployments)];
        Ok(Self {
            observer,
            floor: Changer::new(site.client, observer, Subject::Floor, floor),
            windlass: Changer::new(site.client, observer, Subject::Windlass, site.sizes.rolled()),
            pids: Pair {
                floor: running.floor.id().context("the floor has ended")?,
                windlass: running.controller.pid()?,
            },
            phases: Phases::default(),
        })
    }

    /// Who changes things for one of them.
    pub fn changer(&mut self, subject: Subject) -> &mut Changer<'a> {
        match subject {
            Subject::Floor => &mut self.floor,
            Subject::Windlass => &mut self.windlass,
        }
    }

    /// From now on it counts.
    pub fn begin(&mut self, subject: Subject) -> Result<Phase> {
        let changer = self.changer(subject);
        let (made, secrets) = (changer.made(), changer.changed_secrets().len());
        Ok(Phase {
            subject,
            made,
            secrets,
            cpu: self.cpu(subject)?,
            from: Timestamp::now(),
        })
    }

    /// All that follows from the changes of the phase has to have ended.
    pub fn end(&mut self, phase: &Phase) -> Result<()> {
        let Phase {
            subject,
            made,
            secrets,
            cpu,
            from,
        } = *phase;
        let used = self.cpu(subject)?.saturating_sub(cpu);
        *self.phases.cpu.get_mut(subject) += used;
        let changer = self.changer(subject);
        let made = changer.made() - made;
        let secrets: Vec<String> = changer.changed_secrets().iter().skip(secrets).cloned().collect();
        *self.phases.changes.get_mut(subject) += made;
        for secret in secrets {
            *self.phases.secrets.entry(secret).or_default() += 1;
        }
        if subject == Subject::Windlass {
            self.count_requests(CHANGES, from);
        }
        Ok(())
    }

    /// Requests of Windlass from then until now belong to that window.
    pub fn count_requests(&mut self, name: &'static str, from: Timestamp) {
        self.phases.windows.push(Window {
            name,
            user: Subject::Windlass.to_string(),
            from,
            to: Timestamp::now(),
        });
    }

    /// What it has used since its start.
    pub fn cpu(&self, subject: Subject) -> Result<Duration> {
        cpu::of(match subject {
            Subject::Floor => self.pids.floor,
            Subject::Windlass => self.pids.windlass,
        })
    }

    /// Of both, now.
    pub fn memory(&self) -> Result<Pair<Memory>> {
        Ok(Pair {
            floor: usage::memory(self.pids.floor)?,
            windlass: usage::memory(self.pids.windlass)?,
        })
    }

    /// Writes to pod templates that no change of ours called for.
    pub fn unasked(&self) -> usize {
        let writes: usize = self
            .observer
            .all(|all| all.values().map(|seen| seen.template_changes.len()).sum());
        writes.saturating_sub(self.floor.made() + self.windlass.made())
    }
}

/// Who comes first in a round: they change places, so that neither gains from a machine that
/// becomes slower or quicker.
pub fn order(round: usize) -> [Subject; 2] {
    if round.is_multiple_of(2) {
        [Subject::Windlass, Subject::Floor]
    } else {
        [Subject::Floor, Subject::Windlass]
    }
}

/// A time in which one subject is measured.
pub struct Phase {
    subject: Subject,
    made: usize,
    secrets: usize,
    cpu: Duration,
    from: Timestamp,
}
