//! Thousands of histories of some candidates for one Lease, with everything going wrong that can.
//!
//! Clocks that run fast and slow, times of day that jump, requests and answers that are lost or late,
//! processes that are halted, crash, are asked to stop; and somebody who deletes the Lease. Each history is
//! told by its seed to the millisecond. What must hold: never two writers, and no write of an earlier one is
//! carried out after one of a later one. Then everything works again: somebody leads soon, and goes on to; and
//! after a crash another one writes as soon as the lease is over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use jiff::Timestamp;
use windlass_core::lease::{Answer, Call, Elector, Holder, LeaseTimes, Monotonic, Record, Step};
use windlass_core::types::name::Version;

use super::rng::Rng;

/// Histories by default; `WINDLASS_SIMULATIONS` says another number, `WINDLASS_SIMULATION_SEED` which one.
const HISTORIES: u64 = 2000;

const LEASE: u64 = 15_000;
const DEADLINE: u64 = 10_000;
const RETRY: u64 = 2_000;
const WRITE: u64 = 8_000;
/// Clocks are this much too fast or too slow at most, in millionths.
const DRIFT: u64 = 20_000;
/// When everything begins to work, and when the history ends.
const CALM: u64 = 90_000;
const END: u64 = 160_000;

/// A process, of which each candidate has one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    candidate: usize,
    serial: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Its timer, or something came.
    Wake(Process),
    /// It would write something now.
    Write(Process),
    /// A call on the Lease gets to the API server.
    Arrives(Process, u64),
    /// Its answer gets to whoever waits.
    Answered(Process, u64),
    /// Nobody waits any more.
    GivenUp(Process, u64),
    /// A write is carried out,
    Applied(Process, u64),
    /// and its answer has come, or nobody waits for it any more.
    WriteOver(Process, u64),
    /// Something goes wrong.
    Mishap,
    /// SIGTERM.
    Stop(usize),
    /// A process begins.
    Start(usize),
    Calm,
}

struct Flight {
    by: Process,
    call: Call,
    sent: u64,
    answer: Option<Answer>,
    /// Its answer is lost on the way.
    unheard: bool,
    /// Answered or given up.
    over: bool,
}

struct Candidate {
    /// The clock's reading at 0, and how much faster it runs, in millionths.
    offset: u64,
    rate: u64,
    wall: i64,
    process: Option<(Process, Elector)>,
    serial: u64,
    halted_until: u64,
    stopping: bool,
    /// Writes that are waited for.
    waiting: BTreeSet<u64>,
}

impl Candidate {
    fn clock(&self, at: u64) -> Monotonic {
        Monotonic::new(Duration::from_millis(self.offset + at * self.rate / 1_000_000))
    }

    fn wall(&self, at: u64) -> Timestamp {
        let at = i64::try_from(at * self.rate / 1_000_000).expect("small");
        Timestamp::from_millisecond(self.wall + at).expect("a time")
    }

    /// When its clock will have gone on by that much, not before.
    fn takes(&self, duration: Duration) -> u64 {
        let millis = u64::try_from(duration.as_millis()).expect("small");
        millis * 1_000_000 / self.rate + 1
    }
}

struct History {
    seed: u64,
    rng: Rng,
    now: u64,
    serial: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    candidates: Vec<Candidate>,
    lease: Option<(Record, Version)>,
    version: u64,
    down_until: u64,
    flights: BTreeMap<u64, Flight>,
    /// Writes that will be given up.
    unanswered: BTreeSet<u64>,
    /// Who wrote last, and who did before.
    writer: Option<Process>,
    former: BTreeSet<Process>,
    /// How many writes were carried out, for the check that the checks had something to check.
    writes: u64,
    handovers: u64,
}

fn times() -> LeaseTimes {
    let millis = Duration::from_millis;
    LeaseTimes::new(millis(LEASE), millis(DEADLINE), millis(RETRY), millis(WRITE)).expect("they fit")
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let candidates = (0..rng.between(2, 4))
            .map(|_| Candidate {
                offset: rng.below(1_000_000_000),
                rate: 1_000_000 - DRIFT + rng.below(2 * DRIFT),
                wall: 1_800_000_000_000 + i64::try_from(rng.below(100_000)).expect("small"),
                process: None,
                serial: 0,
                halted_until: 0,
                stopping: false,
                waiting: BTreeSet::new(),
            })
            .collect();
        let mut history = Self {
            seed,
            rng,
            now: 0,
            serial: 0,
            events: BinaryHeap::new(),
            candidates,
            lease: None,
            version: 100,
            down_until: 0,
            flights: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            writer: None,
            former: BTreeSet::new(),
            writes: 0,
            handovers: 0,
        };
        for candidate in 0..history.candidates.len() {
            let at = history.rng.below(5_000);
            history.at(at, Event::Start(candidate));
        }
        history.at(1_000, Event::Mishap);
        history.at(CALM, Event::Calm);
        history
    }

    fn at(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((at.max(self.now), self.serial, event)));
    }

    fn is_calm(&self) -> bool {
        self.now >= CALM
    }

    fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            if at > end {
                self.at(at, event);
                break;
            }
            self.now = at;
            self.handle(event);
            self.check();
        }
        self.now = end;
        self.check();
    }

    /// The process, if it is that one still.
    fn elector(&mut self, process: Process) -> Option<&mut Elector> {
        let (running, elector) = self.candidates[process.candidate].process.as_mut()?;
        (*running == process).then_some(elector)
    }

    fn handle(&mut self, event: Event) {
        if let Event::Wake(process)
        | Event::Write(process)
        | Event::Answered(process, _)
        | Event::GivenUp(process, _)
        | Event::WriteOver(process, _) = event
        {
            let until = self.candidates[process.candidate].halted_until;
            if until > self.now {
                self.at(until, event);
                return;
            }
            if self.elector(process).is_none() {
                return;
            }
        }
        match event {
            Event::Wake(process) => self.drive(process),
            Event::Write(process) => self.write(process),
            Event::Arrives(process, call) => self.arrives(process, call),
            Event::Answered(process, call) => {
                if let Some(flight) = self.flights.get_mut(&call)
                    && !flight.over
                {
                    flight.over = true;
                    let answer = flight.answer.take().expect("it was carried out");
                    self.answer(process, answer);
                }
            }
            Event::GivenUp(process, call) => {
                if let Some(flight) = self.flights.get_mut(&call)
                    && !flight.over
                {
                    flight.over = true;
                    self.answer(process, Answer::Failed);
                }
            }
            Event::Applied(process, _) => self.applied(process),
            Event::WriteOver(process, write) => self.write_over(process, write),
            Event::Mishap => self.mishap(),
            Event::Stop(candidate) => {
                self.candidates[candidate].stopping = true;
                self.release_if_done(candidate);
            }
            Event::Start(candidate) => self.start(candidate),
            Event::Calm => {
                for candidate in &mut self.candidates {
                    candidate.halted_until = 0;
                }
                self.down_until = 0;
                // What was under way is cut off.
                let open = self.flights.iter().filter(|(_, flight)| !flight.over);
                let open: Vec<_> = open.map(|(number, flight)| (flight.by, *number)).collect();
                for (process, number) in open {
                    self.at(self.now, Event::GivenUp(process, number));
                }
                for candidate in 0..self.candidates.len() {
                    match self.candidates[candidate].process {
                        Some((process, _)) => self.at(self.now, Event::Wake(process)),
                        None => self.at(self.now, Event::Start(candidate)),
                    }
                }
            }
        }
    }

    fn start(&mut self, candidate: usize) {
        let it = &mut self.candidates[candidate];
        if it.process.is_some() {
            return;
        }
        it.serial += 1;
        it.stopping = false;
        it.waiting.clear();
        let process = Process {
            candidate,
            serial: it.serial,
        };
        let me = Holder::new(&format!("{candidate}-{}", it.serial)).expect("a name");
        it.process = Some((process, Elector::new(me, times(), it.clock(self.now))));
        self.at(self.now, Event::Wake(process));
        self.at(self.now, Event::Write(process));
    }

    fn end(&mut self, candidate: usize) {
        self.candidates[candidate].process = None;
        let pause = if self.is_calm() {
            1_000
        } else {
            self.rng.between(100, 20_000)
        };
        self.at(self.now + pause, Event::Start(candidate));
    }

    fn drive(&mut self, process: Process) {
        let it = &self.candidates[process.candidate];
        let (clock, wall) = (it.clock(self.now), it.wall(self.now));
        let Some(elector) = self.elector(process) else { return };
        match elector.tick(clock, wall) {
            Step::Sleep(until) => {
                let pause = self.candidates[process.candidate].takes(until.since(clock));
                self.at(self.now + pause, Event::Wake(process));
            }
            Step::Call(call, patience) => {
                self.serial += 1;
                let number = self.serial;
                let lost = !self.is_calm() && self.rng.chance(8);
                let flight = Flight {
                    by: process,
                    call,
                    sent: self.now,
                    answer: None,
                    unheard: !self.is_calm() && self.rng.chance(8),
                    over: false,
                };
                self.flights.insert(number, flight);
                let patience = self.candidates[process.candidate].takes(patience);
                self.at(self.now + patience, Event::GivenUp(process, number));
                if !lost {
                    let delay = self.delay();
                    self.at(self.now + delay, Event::Arrives(process, number));
                }
            }
            Step::Lost | Step::Released => self.end(process.candidate),
        }
    }

    fn delay(&mut self) -> u64 {
        if self.is_calm() {
            self.rng.between(1, 50)
        } else if self.rng.chance(10) {
            self.rng.between(1_000, 14_000)
        } else {
            self.rng.between(1, 300)
        }
    }

    fn arrives(&mut self, process: Process, number: u64) {
        let Some(flight) = self.flights.get(&number) else {
            return;
        };
        if self.now < self.down_until || (self.is_calm() && flight.sent < CALM) {
            return;
        }
        let heard = !flight.unheard;
        let call = flight.call.clone();
        let answer = match call {
            Call::Read => Answer::Read(self.lease.clone()),
            Call::Create(record) if self.lease.is_none() => self.store(record),
            Call::Update(record, version) if self.lease.as_ref().is_some_and(|(_, now)| *now == version) => {
                self.store(record)
            }
            Call::Create(_) | Call::Update(..) => Answer::Conflict,
        };
        if heard {
            self.flights.get_mut(&number).expect("it is there").answer = Some(answer);
            let delay = self.delay();
            self.at(self.now + delay, Event::Answered(process, number));
        }
    }

    fn store(&mut self, record: Record) -> Answer {
        self.version += self.rng.between(1, 9);
        self.lease = Some((record, Version::new(self.version)));
        Answer::Written(Version::new(self.version))
    }

    fn answer(&mut self, process: Process, answer: Answer) {
        let clock = self.candidates[process.candidate].clock(self.now);
        if let Some(elector) = self.elector(process) {
            elector.answer(clock, answer);
            self.drive(process);
        }
    }

    /// As the controller does: asks right before, and gives up in time.
    fn write(&mut self, process: Process) {
        let next = self.rng.between(50, 900);
        self.at(self.now + next, Event::Write(process));
        let it = &self.candidates[process.candidate];
        let clock = it.clock(self.now);
        if it.stopping {
            return;
        }
        let Some(left) = self.elector(process).and_then(|it| it.write_time(clock)) else {
            return;
        };
        let timeout = left.min(Duration::from_millis(WRITE));
        assert!(self.elector(process).expect("it runs").may_write(clock, timeout));
        let waits = self.candidates[process.candidate].takes(timeout);
        let took = if self.is_calm() {
            self.rng.between(1, 50)
        } else if self.rng.chance(20) {
            // It gets there while it is waited for, and the API server's clock is anybody's.
            let carried_out_within = waits * 1_000_000 / (1_000_000 - DRIFT);
            self.rng.between(1, waits) + self.rng.below(carried_out_within)
        } else {
            self.rng.between(1, 200)
        };
        self.serial += 1;
        let write = self.serial;
        self.candidates[process.candidate].waiting.insert(write);
        self.at(self.now + took, Event::Applied(process, write));
        self.at(self.now + took.min(waits), Event::WriteOver(process, write));
        if took > waits {
            self.unanswered.insert(write);
        }
    }

    fn write_over(&mut self, process: Process, write: u64) {
        let it = &mut self.candidates[process.candidate];
        it.waiting.remove(&write);
        let clock = it.clock(self.now);
        if self.unanswered.remove(&write)
            && let Some(elector) = self.elector(process)
        {
            elector.write_given_up(clock);
        }
        self.release_if_done(process.candidate);
    }

    fn release_if_done(&mut self, candidate: usize) {
        let it = &mut self.candidates[candidate];
        let clock = it.clock(self.now);
        if it.stopping
            && it.waiting.is_empty()
            && let Some((process, elector)) = &mut it.process
        {
            elector.release(clock);
            let process = *process;
            self.at(self.now, Event::Wake(process));
        }
    }

    fn applied(&mut self, process: Process) {
        self.writes += 1;
        let others = self.writers().into_iter().find(|it| *it != process);
        assert_eq!(others, None, "seed {}: {process:?} writes under another one", self.seed);
        assert!(
            !self.former.contains(&process),
            "seed {} at {}: a write of {process:?} is carried out after one of {:?}",
            self.seed,
            self.now,
            self.writer
        );
        if let Some(before) = self.writer.replace(process)
            && before != process
        {
            self.former.insert(before);
            self.handovers += 1;
        }
    }

    fn mishap(&mut self) {
        if self.is_calm() {
            return;
        }
        let next = self.rng.between(200, 12_000);
        self.at(self.now + next, Event::Mishap);
        let number = u64::try_from(self.candidates.len()).expect("few");
        let candidate = usize::try_from(self.rng.below(number)).expect("few");
        match self.rng.below(100) {
            0..30 => {
                let long = self.rng.chance(50);
                let halted = self.rng.between(100, if long { 40_000 } else { 4_000 });
                self.candidates[candidate].halted_until = self.now + halted;
            }
            30..45 => {
                if self.candidates[candidate].process.is_some() {
                    self.end(candidate);
                }
            }
            // One that waits for its writes first may leave the lease to expire well into the calm.
            45..65 if self.now + LEASE > CALM => {}
            45..65 => self.at(self.now, Event::Stop(candidate)),
            65..80 => self.down_until = self.now + self.rng.between(100, 15_000),
            80..97 => {
                let step = i64::try_from(self.rng.below(7_200_000)).expect("small") - 3_600_000;
                self.candidates[candidate].wall += step;
            }
            _ => self.lease = None,
        }
    }

    /// Who may write now, halted or not.
    fn writers(&self) -> Vec<Process> {
        let may = |it: &Candidate| {
            let (process, elector) = it.process.as_ref()?;
            elector
                .may_write(it.clock(self.now), Duration::from_millis(1))
                .then_some(*process)
        };
        self.candidates.iter().filter_map(may).collect()
    }

    fn check(&self) {
        let writers = self.writers();
        assert!(
            writers.len() <= 1,
            "seed {} at {}: {writers:?} write",
            self.seed,
            self.now
        );
    }

    fn leader(&self) -> Option<usize> {
        self.candidates
            .iter()
            .position(|it| it.process.as_ref().is_some_and(|(_, elector)| elector.leads()))
    }
}

/// Gives how many writes were carried out, and how often it was another one's turn.
fn play(seed: u64) -> (u64, u64) {
    let mut history = History::new(seed);
    // The slowest clock counts,
    let slow = |millis: u64| millis * 1_000_000 / (1_000_000 - DRIFT);
    // and a second for those who have to begin anew.
    let slowest = |millis: u64| slow(millis) + 1_000;
    let led_by = CALM + slowest(LEASE + RETRY);
    history.run_until(CALM);
    history.run_until(led_by);
    assert!(history.leader().is_some(), "seed {seed}: nobody leads");
    history.run_until(led_by + slowest(LEASE));
    let writer = history.writers();
    assert_eq!(writer.len(), 1, "seed {seed}: nobody writes");
    let leader = writer[0].candidate;
    history.end(leader);
    // The lease, and the look that finds it over. The crashed one begins anew a second later.
    history.run_until(history.now + slow(LEASE + RETRY));
    let next = history.writers();
    assert!(
        next.len() == 1 && next != writer,
        "seed {seed}: {next:?} write a lease after {writer:?} crashed"
    );
    let writer = next;
    history.run_until(END - 5_000);
    assert_eq!(history.writers(), writer, "seed {seed}: it changed hands for no reason");
    let leader = writer[0].candidate;
    let standby = history.candidates.len() > 1;
    history.at(history.now, Event::Stop(leader));
    history.run_until(END - 3_900);
    if standby {
        let next = history.writers();
        assert!(next.len() == 1 && next != writer, "seed {seed}: no hand-over, {next:?}");
    }
    history.run_until(END);
    (history.writes, history.handovers)
}

#[test]
fn never_two_write_and_somebody_soon_does() {
    let number = |name: &str| -> Option<u64> {
        let text = std::env::var(name).ok()?;
        Some(text.parse().expect("a number"))
    };
    if let Some(seed) = number("WINDLASS_SIMULATION_SEED") {
        play(seed);
        return;
    }
    let histories = number("WINDLASS_SIMULATIONS").unwrap_or(HISTORIES);
    let (mut writes, mut handovers) = (0, 0);
    for seed in 0..histories {
        let (some, changes) = play(seed);
        writes += some;
        handovers += changes;
    }
    assert!(writes > histories * 50, "{writes} writes check nothing");
    assert!(handovers > histories, "{handovers} changes of hands check nothing");
}
