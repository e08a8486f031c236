//! The steps of a run: starts them, and shows at the end what each took.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{attempt::Attempt, rust::RustTests};
use crate::{cpu, say, workspace};

/// A tenth of the share of the front, where both want a processor (sched(7)): the side gets what the front leaves.
const NICE: i32 = 10;

/// Where a step runs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Lane {
    /// Its output is shown as it comes.
    #[default]
    Front,
    /// Beside the front, with a lower priority. Its output is shown when it ends.
    Side,
}

/// A step that has ended.
struct Step {
    name: String,
    took: Took,
    passed: bool,
}

/// What a step took.
#[derive(Clone, Copy)]
pub struct Took {
    /// By the clock on the wall.
    pub time: Duration,
    /// Of all its processes; unknown where one was killed.
    pub cpu: Option<Duration>,
}

/// Measures what this process does itself, with its children. Must not be used while other steps run.
pub struct Stopwatch {
    started: Instant,
    cpu: Option<Duration>,
}

impl Stopwatch {
    /// From now on.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: cpu::of_children().ok(),
        }
    }

    /// Until now.
    pub fn took(&self) -> Took {
        let cpu = cpu::of_children().ok();
        Took {
            time: self.started.elapsed(),
            cpu: cpu.zip(self.cpu).map(|(now, then)| now.saturating_sub(then)),
        }
    }
}

/// What was run, what it took, how it ended.
pub struct Summary {
    started: Instant,
    lane: Lane,
    steps: Vec<Step>,
}

impl Default for Summary {
    fn default() -> Self {
        Self::of(Lane::Front)
    }
}

impl Summary {
    fn of(lane: Lane) -> Self {
        Self {
            started: Instant::now(),
            lane,
            steps: Vec::new(),
        }
    }

    /// Runs the steps of `front`, and those of `side` beside them.
    pub fn run_beside(
        &mut self,
        front: impl FnOnce(&mut Self) -> Result<()>,
        side: impl FnOnce(&mut Self) -> Result<()> + Send,
    ) -> Result<()> {
        let mut steps = Self::of(Lane::Side);
        thread::scope(|scope| {
            let aside = scope.spawn(|| side(&mut steps));
            let outcome = front(self);
            let aside = aside.join().expect("a step that fails returns an error");
            outcome.and(aside)
        })?;
        self.steps.append(&mut steps.steps);
        Ok(())
    }

    /// Runs a command and goes on when it fails: one run shows all that is wrong.
    pub fn run(&mut self, name: &str, command: &Command) -> Result<()> {
        let prepared = Prepared::new(command, self.lane)?;
        let Prepared { mut command, .. } = prepared;
        if let Some(log) = &prepared.log {
            command.stdout(log.try_clone().context("a second handle of the log")?);
        }
        let started = Instant::now();
        let status = command.status().with_context(|| format!("run {name}"))?;
        let took = Took {
            time: started.elapsed(),
            cpu: cpu::reported(&prepared.report),
        };
        show(name, prepared.shown.as_ref())?;
        self.add(name, took, status.success());
        Ok(())
    }

    /// Runs Rust tests. Those that fail among all the others run once more, two at a time at most: three
    /// clusters on two cores are slow enough to make a deadline pass. A test that passes only then is listed
    /// as unsteady, by name. It does not fail the run.
    pub fn run_rust(&mut self, name: &str, tests: &RustTests<'_>) -> Result<()> {
        let (first, took) = self.attempt(name, &tests.first())?;
        let again = first.worth_another();
        if again.is_empty() {
            self.add(name, took, first.succeeded());
            return Ok(());
        }
        self.add(&format!("{name} (but for {})", again.len()), took, true);
        let names = again.join(", ");
        say::step(format_args!("Once more: {names}"));
        let (second, took) = self.attempt(name, &tests.again(&again))?;
        let passed = second.proves(&again);
        let outcome = if passed {
            format!("UNSTEADY, passed only when run once more: {names}")
        } else {
            format!("failed twice: {names}")
        };
        self.add(&outcome, took, passed);
        Ok(())
    }

    fn attempt(&self, name: &str, command: &Command) -> Result<(Attempt, Took)> {
        let prepared = Prepared::new(command, self.lane)?;
        let started = Instant::now();
        let attempt = Attempt::run(name, prepared.command, prepared.log)?;
        let took = Took {
            time: started.elapsed(),
            cpu: cpu::reported(&prepared.report),
        };
        show(name, prepared.shown.as_ref())?;
        Ok((attempt, took))
    }

    /// Adds something that was done by other means.
    pub fn add(&mut self, name: &str, took: Took, passed: bool) {
        self.steps.push(Step {
            name: name.to_owned(),
            took,
            passed,
        });
    }

    /// Shows the table; fails when a step did.
    pub fn print(&self) -> Result<()> {
        say::step("Summary");
        println!("    {:<40} {:>12} {:>12}", "", "time", "CPU time");
        for Step { name, took, passed } in &self.steps {
            let sign = if *passed { "✔" } else { "✘" };
            println!("  {sign} {}", row(name, took.time, took.cpu));
        }
        let cpu = self.steps.iter().filter_map(|step| step.took.cpu).sum();
        println!("    {}", row("all", self.started.elapsed(), Some(cpu)));
        let failed = self.steps.iter().filter(|step| !step.passed).count();
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.steps.len());
        }
        Ok(())
    }
}

fn row(name: &str, time: Duration, cpu: Option<Duration>) -> String {
    let cpu = cpu.map_or_else(|| "unknown".to_owned(), say::time);
    format!("{name:<40} {:>12} {cpu:>12}", say::time(time))
}

/// A command that counts its CPU time and writes where its lane wants it.
struct Prepared {
    command: Command,
    report: PathBuf,
    /// Where its output goes until it ends.
    log: Option<File>,
    shown: Option<PathBuf>,
}

impl Prepared {
    fn new(command: &Command, lane: Lane) -> Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = workspace::scratch()?.join("steps");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let report = folder.join(format!("{number}.cpu"));
        // That of an earlier run.
        let _ = fs::remove_file(&report);
        let nice = if lane == Lane::Side { NICE } else { 0 };
        let mut command = cpu::counted(command, &report, nice);
        command.stdin(Stdio::null());
        let shown = (lane == Lane::Side).then(|| folder.join(format!("{number}.log")));
        let log = shown.as_ref().map(File::create).transpose().context("create a log")?;
        if let Some(log) = &log {
            command.stderr(log.try_clone().context("a second handle of the log")?);
        }
        Ok(Self {
            command,
            report,
            log,
            shown,
        })
    }
}

/// Prints all of a step's output at once, so that lines of two steps do not mix.
fn show(name: &str, log: Option<&PathBuf>) -> Result<()> {
    let Some(log) = log else { return Ok(()) };
    let text = fs::read(log).with_context(|| format!("read {}", log.display()))?;
    let mut output = io::stdout().lock();
    writeln!(output, "\n==> Beside it: {name}")?;
    output.write_all(&text)?;
    writeln!(output, "==> End of: {name}")?;
    Ok(())
}
