//! Properties, on a simulated cluster with its own clock: thousands of random histories of changes,
//! failures, kills, edits of policies and steps of clocks, played to the real controller.
//!
//! | file | holds |
//! |---|---|
//! | [`history`] | what happens, by chance |
//! | [`cluster`], [`deployment`], [`policies`], [`objects`] | the objects, their versions, and the controllers that act on them |
//! | [`world`] | time, faults, and who waits for what |
//! | [`api`] | the API server: the requests that we send and no others |
//! | [`process`] | one life of the controller, from its first lists to a kill |
//! | [`checks`], [`objections`], [`write`] | what must hold at every restart that the server accepts |
//! | [`quiet`] | what must hold when all is quiet |
//! | [`lease`] | histories of their own: candidates for one Lease, of whom never two may write |
//!
//! `WINDLASS_SIMULATIONS` says how many histories are played, `WINDLASS_SIMULATION_SEED` which one.
//! One seed is one history, to the millisecond and to the last random number: nothing that the controller
//! does may follow the order of a hash map or a chance of its own.

use std::time::Instant;

use self::history::History;

mod api;
mod checks;
mod cluster;
mod deployment;
mod history;
mod lease;
mod objections;
mod objects;
mod policies;
mod process;
mod quiet;
mod rng;
mod world;
mod write;

/// About two minutes on two cores, without optimisation.
const HISTORIES: u64 = 1500;

/// So many are played twice.
const SAME: u64 = 20;

/// At most so many failures are shown, and so much of the first one.
const SHOWN: usize = 1000;

#[test]
fn whatever_happens_the_promises_hold() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let count = number("WINDLASS_SIMULATIONS").unwrap_or(HISTORIES);
    let count = usize::try_from(count).expect("not that many");
    let seed = number("WINDLASS_SIMULATION_SEED");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let play_some = |part: usize| {
        let mut restarts = 0;
        let mut failed = Vec::new();
        for at in (part..count).step_by(threads) {
            let seed = seed.unwrap_or(at as u64);
            let (problems, trace, made) = play(seed);
            restarts += made;
            if !problems.is_empty() {
                failed.push((seed, problems, trace));
            }
        }
        (restarts, failed)
    };
    let (restarts, failed) = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|part| scope.spawn(move || play_some(part))).collect();
        parts.into_iter().fold((0, Vec::new()), |(restarts, mut failed), part| {
            let (more, also) = part.join().expect("no panic");
            failed.extend(also);
            (restarts + more, failed)
        })
    });
    println!("{count} histories, {restarts} restarts, {:?}", started.elapsed());
    if let Some((seed, problems, trace)) = failed.iter().min_by_key(|(_, _, trace)| trace.len()) {
        for (seed, problems, _) in failed.iter().take(SHOWN) {
            println!("seed {seed}: {problems:#?}");
        }
        println!("the shortest:\n{}", trace.join("\n"));
        panic!(
            "{} histories failed; WINDLASS_SIMULATION_SEED={seed}: {problems:#?}",
            failed.len()
        );
    }
    assert!(restarts > count as u64, "hardly anything happened");
}

/// A property that holds by luck is not worth much: what failed once must fail again.
#[test]
fn a_seed_plays_the_same_history_each_time() {
    for seed in 0..SAME {
        let ((_, first, _), (_, again, _)) = (play(seed), play(seed));
        let differs = first.iter().zip(&again).position(|(one, other)| one != other);
        assert_eq!(
            differs,
            None,
            "seed {seed}: {:?}",
            differs.map(|at| (&first[at], &again[at]))
        );
        assert_eq!(first.len(), again.len(), "seed {seed}");
    }
}

fn play(seed: u64) -> (Vec<String>, Vec<String>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut history = History::begin(seed);
        history.play().await;
        history.world().look(|state| {
            let restarts = state.checks.restarts;
            (
                std::mem::take(&mut state.checks.problems),
                std::mem::take(&mut state.cluster.trace),
                restarts,
            )
        })
    })
}
