//! `cargo bench -p windlass-live`: what reading costs, and how long a swap takes to arrive.
//!
//! Each figure stands beside the least that the machine can do: a bare load of an arc-swap, a bare
//! inotify. Criterion measures one after the other, which a busy machine distorts; where a target is a
//! ratio, the two take turns and the median is compared.

#[allow(dead_code, reason = "the tests need all of it")]
#[path = "../tests/it/kubelet.rs"]
mod kubelet;

use std::{
    fs,
    hint::black_box,
    mem::MaybeUninit,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use criterion::Criterion;
use kubelet::Kubelet;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::runtime::Runtime;
use windlass_live::{Live, Volume};

/// Swaps of each kind; the 99th percentile is then the tenth from the end.
const SWAPS: usize = 1_000;
/// More than the debounce, as the kubelet's second is.
const PAUSE: Duration = Duration::from_millis(25);
const IDLE: Duration = Duration::from_secs(10);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Runtime::new().expect("a runtime");
    reads(&mut criterion, &runtime);
    snapshots(&mut criterion, &runtime);
    criterion.final_summary();
    drop(runtime);
    // `cargo test --benches` wants to see that it runs, and `--list` not even that.
    if std::env::args().any(|argument| argument == "--bench") {
        ratio();
        delays();
        idle();
    }
}

fn reads(criterion: &mut Criterion, runtime: &Runtime) {
    let _inside = runtime.enter();
    let kubelet = Kubelet::with([("n.json", "42")]);
    let volume = runtime.block_on(Volume::open(kubelet.path())).expect("a volume");
    let live = Live::<u64>::json(&volume, "n.json").expect("a number");
    let bare = ArcSwap::from_pointee(42_u64);
    let mut group = criterion.benchmark_group("read");
    group.bench_function("arc-swap load", |bencher| bencher.iter(|| black_box(**bare.load())));
    group.bench_function("Live::load", |bencher| bencher.iter(|| black_box(*live.load())));
    group.bench_function("Live::get", |bencher| bencher.iter(|| black_box(*live.get())));
    group.finish();
}

/// A read beside a bare load, in turns.
fn ratio() {
    const ROUNDS: usize = 500;
    const LOADS: u32 = 20_000;
    let runtime = Runtime::new().expect("a runtime");
    let kubelet = Kubelet::with([("n.json", "42")]);
    let volume = runtime.block_on(Volume::open(kubelet.path())).expect("a volume");
    let inside = runtime.enter();
    let live = Live::<u64>::json(&volume, "n.json").expect("a number");
    drop(inside);
    let bare = ArcSwap::from_pointee(42_u64);
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        (0..LOADS).for_each(|_| {
            black_box(**black_box(&bare).load());
        });
        floor.push(begin.elapsed());
        let begin = Instant::now();
        (0..LOADS).for_each(|_| {
            black_box(*black_box(&live).load());
        });
        ours.push(begin.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(LOADS)
    };
    let (floor, ours) = (median(&mut floor), median(&mut ours));
    println!("\none read, median of {ROUNDS} rounds in turns");
    println!(
        "  arc-swap load {floor:.2} ns, Live::load {ours:.2} ns: {:.2} times",
        ours / floor
    );
}

fn snapshots(criterion: &mut Criterion, runtime: &Runtime) {
    let keys: Vec<_> = (0..100).map(|number| format!("key-{number:03}")).collect();
    let kubelet = Kubelet::with(keys.iter().map(|key| (key, "x".repeat(200))));
    let volume = runtime.block_on(Volume::open(kubelet.path())).expect("a volume");
    let paths: Vec<PathBuf> = keys.iter().map(|key| kubelet.path().join(key)).collect();
    let mut group = criterion.benchmark_group("snapshot of 100 keys");
    group.bench_function("fs::read of each path (torn)", |bencher| {
        bencher.iter(|| {
            paths
                .iter()
                .map(|path| fs::read(path).expect("a file").len())
                .sum::<usize>()
        });
    });
    group.bench_function("Volume::read", |bencher| {
        bencher.iter(|| runtime.block_on(volume.read()).expect("a snapshot").len());
    });
    group.finish();
}

/// From before the rename until somebody knows.
fn delays() {
    let runtime = Runtime::new().expect("a runtime");
    let (mut floor, mut ours, mut plain) = (Vec::new(), Vec::new(), Vec::new());

    let mut bare = Kubelet::with([("n.json", "0")]);
    let bare_told = bare_inotify(bare.path());

    let mut mounted = Kubelet::with([("n.json", "0")]);
    let mounted_told = subscriber(&runtime, mounted.path());

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("n.json");
    fs::write(&file, "0").expect("a file");
    let plain_told = subscriber(&runtime, folder.path());

    for number in 1..=SWAPS {
        let content = number.to_string();
        thread::sleep(PAUSE);
        let begin = bare.write([("n.json", &content)]);
        floor.push(bare_told.recv().expect("an event") - begin);

        thread::sleep(PAUSE);
        let begin = mounted.write([("n.json", &content)]);
        ours.push(mounted_told.recv().expect("a version") - begin);

        // A tenth is enough for what the debounce makes up.
        if number % 10 == 0 {
            thread::sleep(PAUSE);
            let temporary = folder.path().join("..new");
            fs::write(&temporary, &content).expect("a file");
            let begin = Instant::now();
            fs::rename(&temporary, &file).expect("a rename");
            plain.push(plain_told.recv().expect("a version") - begin);
        }
    }
    println!("\nfrom the swap to whoever waits for it");
    println!("  {:<44}{:>10}{:>10}{:>8}", "", "p50", "p99", "n");
    row("bare inotify, the event alone", &mut floor);
    row("Live subscriber, kubelet's layout", &mut ours);
    row("Live subscriber, plain directory (20 ms more)", &mut plain);
}

fn row(name: &str, times: &mut [Duration]) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let micros = |time: Duration| format!("{} us", time.as_micros());
    println!(
        "  {name:<44}{:>10}{:>10}{:>8}",
        micros(at(50)),
        micros(at(99)),
        times.len()
    );
}

/// The least that can be done: a thread that sleeps in `read`.
fn bare_inotify(directory: &Path) -> mpsc::Receiver<Instant> {
    let instance = inotify::init(CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&instance, directory, WatchFlags::MOVED_TO).expect("a watch");
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = Reader::new(&instance, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::MOVED_TO) && tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    told
}

fn subscriber(runtime: &Runtime, directory: &Path) -> mpsc::Receiver<Instant> {
    let _inside = runtime.enter();
    let volume = runtime.block_on(Volume::open(directory)).expect("a volume");
    let live = Live::<u64>::json(&volume, "n.json").expect("a number");
    let mut versions = live.subscribe();
    let (tell, told) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        while versions.next().await.is_some() {
            if tell.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    told
}

/// How often fifty volumes wake the processor while nothing happens.
fn idle() {
    let runtime = Runtime::new().expect("a runtime");
    let kubelets: Vec<_> = (0..50).map(|_| Kubelet::with([("a", "0")])).collect();
    let volumes: Vec<_> = kubelets
        .iter()
        .map(|kubelet| {
            let volume = Volume::builder(kubelet.path()).poll(Duration::from_hours(1)).open();
            Arc::new(runtime.block_on(volume).expect("a volume"))
        })
        .collect();
    // Threads that read for the first time end after ten seconds.
    thread::sleep(Duration::from_secs(12));
    let before = switches();
    thread::sleep(IDLE);
    let woken = switches().saturating_sub(before).saturating_sub(1);
    println!(
        "\n{} idle volumes without their poll: {woken} wakeups in {IDLE:?}",
        volumes.len()
    );
}

/// Context switches of all threads so far; this one's sleep is one of them.
fn switches() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").expect("a list");
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let switches = |status: String| {
        let lines = status.lines().filter(|line| line.contains("voluntary_ctxt_switches"));
        lines
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum::<u64>()
    };
    statuses.map(switches).sum()
}
