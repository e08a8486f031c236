//! From a snapshot to new values: all of it or nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;

use super::{
    FlagProblem, FlagsError, Kind, Listed, Origin, Report, Unknown, View,
    handle::Values,
    listing::{Record, list},
    report::Reporter,
    slot::{Slot, Value},
};
use crate::{Snapshot, parse::without_line_end, snapshot::Entry};

/// What flags share.
pub(super) struct Inner {
    slots: Vec<Slot>,
    values: Arc<ArcSwap<Values>>,
    unknown: Unknown,
    reporter: Reporter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    refusals: u64,
    problem: Option<FlagsError>,
    unknown_keys: Vec<String>,
}

/// What a source says of one flag.
enum Found {
    Value(Value, Origin),
    /// There is no such key.
    Nothing,
    /// There is one, and nobody knows what it says.
    Unreadable(String),
    Bad(String),
}

impl Inner {
    pub(super) fn new(slots: Vec<Slot>, values: Arc<ArcSwap<Values>>, unknown: Unknown, reporter: Reporter) -> Self {
        let records = slots.iter().map(|slot| Record {
            origin: base_origin(slot),
            ..Record::default()
        });
        let state = State {
            records: records.collect(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            slots,
            values,
            unknown,
            reporter,
        }
    }

    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub(super) fn view(&self) -> View {
        View(self.values.load_full())
    }

    pub(super) fn refusals(&self) -> u64 {
        self.state().refusals
    }

    pub(super) fn problem(&self) -> Option<FlagsError> {
        self.state().problem.clone()
    }

    pub(super) fn needs_restart(&self) -> Vec<String> {
        let state = self.state();
        let pending = self.slots.iter().zip(&state.records);
        pending
            .filter(|(_, record)| record.pending.is_some())
            .map(|(slot, _)| slot.name.to_string())
            .collect()
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        let (view, records) = {
            let state = self.state();
            (self.view(), state.records.clone())
        };
        list(&self.slots, &view, &records)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first snapshot: static and dynamic flags, and everything has to be good.
    pub(super) fn initialize(&self, snapshot: &Snapshot) -> Result<(), FlagsError> {
        let mut problems = Vec::new();
        let mut values = Vec::new();
        let mut records = self.state().records.clone();
        for (slot, record) in self.slots.iter().zip(&mut records) {
            match find(slot, snapshot) {
                Found::Value(value, origin) => {
                    record.origin = origin;
                    values.push(value);
                }
                Found::Nothing => values.push(Arc::clone(slot.base())),
                Found::Bad(message) | Found::Unreadable(message) => problems.push(problem(slot, message)),
            }
        }
        let unknown = self.unknown_keys(snapshot);
        self.refuse_unknown(&unknown, &mut problems);
        if !problems.is_empty() {
            return Err(FlagsError { problems });
        }
        let mut state = self.state();
        self.values.store(Arc::new(Values(values)));
        std::mem::swap(&mut state.records, &mut records);
        state.unknown_keys.clone_from(&unknown);
        drop(state);
        self.warn_of_unknown(unknown);
        Ok(())
    }

    /// A later snapshot: dynamic flags, together or not at all. Only one thread calls it at a time.
    ///
    /// Parsers, validators, notifiers, the reporter, and comparing and dropping values are the
    /// application's code, which may ask these flags for anything: none of it runs under the lock.
    pub(super) fn take(&self, snapshot: &Snapshot) {
        let now = SystemTime::now();
        let before = self.view();
        let mut values = before.0.0.clone();
        let mut problems = Vec::new();
        let mut reports = Vec::new();
        let mut records = self.state().records.clone();
        let found = self.slots.iter().zip(&mut records).zip(&mut values);
        for ((slot, record), value) in found {
            let had_error = record.error.take();
            let (new, origin) = match find(slot, snapshot) {
                Found::Value(new, origin) => (new, origin),
                Found::Nothing => (Arc::clone(slot.base()), base_origin(slot)),
                Found::Unreadable(message) => {
                    record.error = Some(message.clone());
                    if had_error.as_ref() != Some(&message) {
                        reports.push(Report::Unreadable(problem(slot, message)));
                    }
                    continue;
                }
                Found::Bad(message) => {
                    record.error = Some(message.clone());
                    let is_news = had_error.as_ref() != Some(&message);
                    let problem = problem(slot, message);
                    // What a static flag would be after a restart keeps no other flag from changing.
                    match slot.kind {
                        Kind::Dynamic => problems.push(problem),
                        Kind::Static if is_news => reports.push(Report::WouldNotStart(problem)),
                        Kind::Static => {}
                    }
                    continue;
                }
            };
            let same = slot.typed.same(value, &new);
            match slot.kind {
                Kind::Dynamic => {
                    record.origin = origin;
                    if !same {
                        record.changed = Some(now);
                        *value = new;
                    }
                }
                Kind::Static if same => record.pending = None,
                Kind::Static => {
                    if record.pending.replace(new).is_none() {
                        let flag = slot.name.to_string();
                        reports.push(Report::NeedsRestart { flag });
                    }
                }
            }
        }
        let unknown = self.unknown_keys(snapshot);
        let mut state = self.state();
        let unknown_are_news = state.unknown_keys != unknown;
        state.unknown_keys.clone_from(&unknown);
        self.refuse_unknown(&unknown, &mut problems);
        if problems.is_empty() {
            std::mem::swap(&mut state.records, &mut records);
            state.problem = None;
            self.values.store(Arc::new(Values(values.clone())));
        } else {
            // Errors and what needs a restart are true all the same; values and their origins are not.
            for ((slot, old), new) in self.slots.iter().zip(&mut state.records).zip(&mut records) {
                std::mem::swap(&mut old.error, &mut new.error);
                if slot.kind == Kind::Static {
                    std::mem::swap(&mut old.pending, &mut new.pending);
                }
            }
            let error = FlagsError { problems };
            state.refusals += 1;
            state.problem = Some(error.clone());
            reports.push(Report::Refused(error));
        }
        let refused = state.problem.is_some();
        drop(state);
        // Values that were waiting for a restart and are not any more.
        drop(records);
        if unknown_are_news {
            self.warn_of_unknown(unknown);
        }
        for report in &reports {
            self.reporter.tell(report);
        }
        if !refused {
            self.notify(&before.0.0, &values);
        }
    }

    fn notify(&self, before: &[Value], after: &[Value]) {
        for ((slot, old), new) in self.slots.iter().zip(before).zip(after) {
            if Arc::ptr_eq(old, new) {
                continue;
            }
            let count = slot.typed.notify(old, new);
            if count > 0 {
                let flag = slot.name.to_string();
                self.reporter.tell(&Report::NotifierPanicked { flag, count });
            }
        }
    }

    fn unknown_keys(&self, snapshot: &Snapshot) -> Vec<String> {
        if self.unknown == Unknown::Ignore {
            return Vec::new();
        }
        let known = |key: &str| self.slots.iter().any(|slot| slot.name.is_written(key));
        let keys = snapshot.iter().map(|(key, _)| key).filter(|key| !known(key));
        keys.map(str::to_owned).collect()
    }

    fn refuse_unknown(&self, keys: &[String], problems: &mut Vec<FlagProblem>) {
        if self.unknown == Unknown::Refuse {
            problems.extend(keys.iter().map(|key| FlagProblem {
                name: key.clone(),
                message: "unknown flag".to_owned(),
            }));
        }
    }

    fn warn_of_unknown(&self, keys: Vec<String>) {
        if self.unknown == Unknown::Warn && !keys.is_empty() {
            self.reporter.tell(&Report::UnknownKeys { keys });
        }
    }
}

fn problem(slot: &Slot, message: String) -> FlagProblem {
    FlagProblem {
        name: slot.name.to_string(),
        message,
    }
}

fn base_origin(slot: &Slot) -> Origin {
    match slot.given {
        Some(_) => Origin::CommandLine,
        None => Origin::Default,
    }
}

fn find(slot: &Slot, snapshot: &Snapshot) -> Found {
    let mut keys = slot.name.keys();
    keys.retain(|key| snapshot.entry(key).is_some());
    let key = match keys.as_slice() {
        [] => return Found::Nothing,
        [key] => key,
        several => return Found::Bad(format!("is set more than once: {}", several.join(", "))),
    };
    let content = match snapshot.entry(key) {
        None => return Found::Nothing,
        Some(Entry::Unreadable(unreadable)) => return Found::Unreadable(format!("its key {unreadable}")),
        Some(Entry::Content(content)) => content,
    };
    let Some(text) = content.text() else {
        return Found::Bad("is not UTF-8".to_owned());
    };
    match slot.parse(without_line_end(text)) {
        Ok(value) => Found::Value(value, Origin::Key(key.clone())),
        Err(message) => Found::Bad(message),
    }
}
