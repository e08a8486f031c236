//! A writer that swaps as fast as it can: every snapshot has to be of one version.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use windlass_live::{Content, Volume};

use crate::{
    kubelet::Kubelet,
    naive,
    support::{DEADLINE, text, until},
};

const KEYS: usize = 20;

fn keys() -> Vec<String> {
    (0..KEYS).map(|number| format!("key-{number}")).collect()
}

fn version(number: u64) -> impl Iterator<Item = (String, String)> {
    keys().into_iter().map(move |key| (key, number.to_string()))
}

/// Swaps a thousand times a second, or as often as the machine can, until it is told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: thread::JoinHandle<Kubelet>,
}

impl Writer {
    fn start(mut kubelet: Kubelet) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = thread::spawn(move || {
            let begin = Instant::now();
            for number in 1.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                kubelet.write(version(number));
                count.store(number, Ordering::Relaxed);
                let due = begin + Duration::from_millis(number);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            kubelet
        });
        Self { stop, written, thread }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn stop(self) -> Kubelet {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer did not fail")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_snapshot_is_of_one_version_under_a_writer_that_never_rests() {
    let kubelet = Kubelet::with(version(0));
    let volume = Volume::open(kubelet.path()).await.expect("a volume");
    let mut changes = volume.changes();
    let writer = Writer::start(kubelet);
    let mut read = 0;
    while read < 300 || writer.written() < 1_000 {
        let snapshot = volume.read().await.expect("a snapshot, however fast the writer is");
        let first = text(&snapshot, "key-0").expect("a key").to_owned();
        for key in keys() {
            assert_eq!(text(&snapshot, &key), Some(&*first), "{key} is torn from key-0");
        }
        read += 1;
    }
    let mut kubelet = writer.stop();
    kubelet.write(version(u64::MAX));
    let newest = u64::MAX.to_string();
    let last = until(&mut changes, |snapshot| text(snapshot, "key-0") == Some(&newest)).await;
    assert_eq!(last.len(), KEYS);
    assert!(last.iter().all(|(key, _)| text(&last, key) == Some(&newest)));
}

#[test]
fn the_test_above_can_fail_reading_key_by_key_tears() {
    let kubelet = Kubelet::with(version(0));
    let path = kubelet.path().to_owned();
    let writer = Writer::start(kubelet);
    let deadline = Instant::now() + DEADLINE;
    let keys = keys();
    let torn = loop {
        assert!(Instant::now() < deadline, "the naive reader was never torn");
        // A key that is missing meanwhile is as torn as one that is of another version.
        let Some(snapshot) = naive::snapshot(&path, &keys) else {
            continue;
        };
        let mut versions: Vec<_> = snapshot.into_values().map(Content::from).collect();
        versions.dedup();
        if versions.len() > 1 {
            break versions.len();
        }
    };
    assert!(torn > 1);
    writer.stop();
}
