use std::os::unix::fs::symlink;
use std::time::{SystemTime, UNIX_EPOCH};

use super::*;

fn snapshot(pairs: &[(&str, &str)]) -> Snapshot {
    pairs.iter().map(|(key, content)| (*key, *content)).collect()
}

fn hash(content: &str) -> Vec<u8> {
    hashed(&mut content.as_bytes()).expect("no error")
}

#[test]
fn a_file_is_hashed_whole_however_large_it_is() {
    for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER + 7] {
        let content = "x".repeat(length);
        assert_eq!(hash(&content), Sha256::digest(&content).to_vec(), "{length}");
    }
}

#[test]
fn a_fingerprint_tells_files_apart_by_names_and_digests() {
    let of = |pairs: &[(&str, &str)]| {
        let hashed: Snapshot = pairs.iter().map(|(key, content)| (*key, hash(content))).collect();
        Fingerprint::of(&hashed).0
    };
    let base = of(&[("a", "1"), ("b", "2")]);
    assert_eq!(base, of(&[("b", "2"), ("a", "1")]));
    for other in [
        &[("a", "1")][..],
        &[("a", "2"), ("b", "2")],
        &[("a", "1"), ("c", "2")],
        &[],
    ] {
        assert_ne!(base, of(other), "{other:?}");
    }
    // Content that is no hash is as one that cannot be read.
    assert_eq!(digest(snapshot(&[("a", "1")]).entry("a").expect("there")), None);
}

#[test]
fn the_time_of_a_swap_is_never_before_it() {
    let root = tempfile::tempdir().expect("a folder");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let blur = Duration::from_millis(50);
    let at = |path: &Path| swapped(path).expect("a time");

    let volume = root.path().join("volume");
    std::fs::create_dir_all(volume.join("..1")).expect("folders");
    std::fs::create_dir(volume.join("..2")).expect("a folder");
    symlink("..1", volume.join("..data")).expect("a link");
    let first = at(&volume);
    // The link waits under another name for a while.
    symlink("..2", volume.join("..data_tmp")).expect("a link");
    std::thread::sleep(Duration::from_millis(100));
    let before = now();
    std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("a swap");
    assert!(at(&volume) + blur >= before, "{first:?} {:?} {before:?}", at(&volume));

    // A plain file that is written in place touches no folder.
    let plain = root.path().join("plain");
    std::fs::create_dir(&plain).expect("a folder");
    std::fs::write(plain.join("a"), "1").expect("a file");
    std::thread::sleep(Duration::from_millis(100));
    let before = now();
    std::fs::write(plain.join("a"), "2").expect("a file");
    assert!(at(&plain) + blur >= before);
    assert!(at(&plain.join("a")) + blur >= before);
    assert_eq!(swapped(&root.path().join("none")), None);
}
