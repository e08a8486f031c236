//! A volume that somebody else may write: no link leads out of it.

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use tempfile::TempDir;
use windlass_live::{Entry, Snapshot, Unreadable, Volume};

use crate::{
    kubelet::Kubelet,
    support::{text, until},
};

/// A folder, and its path without any link in it.
fn folder() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("a folder");
    let path = fs::canonicalize(root.path()).expect("a path");
    (root, path)
}

async fn contained(path: &Path) -> Volume {
    Volume::builder(path).contained().open().await.expect("a volume")
}

async fn refused(path: &Path) -> String {
    let error = Volume::builder(path).contained().open().await.expect_err("refused");
    error.kind().to_owned()
}

fn outside(snapshot: &Snapshot, key: &str) -> bool {
    snapshot.entry(key) == Some(&Entry::Unreadable(Unreadable::Outside))
}

#[tokio::test]
async fn the_layout_of_the_kubelet_stays_within() {
    let mut kubelet = Kubelet::with([("a", "0"), ("conf.d/b", "1")]);
    let path = fs::canonicalize(kubelet.path()).expect("a path");
    let volume = contained(&path).await;
    let mut changes = volume.changes();
    assert_eq!(text(&volume.snapshot(), "conf.d/b"), Some("1"));
    kubelet.write([("a", "2"), ("conf.d/b", "3")]);
    let snapshot = until(&mut changes, |snapshot| text(snapshot, "a") == Some("2")).await;
    assert_eq!(text(&snapshot, "conf.d/b"), Some("3"));

    let single = contained(&path.join("a")).await;
    let mut changes = single.changes();
    assert_eq!(text(&single.snapshot(), "a"), Some("2"));
    kubelet.write([("a", "4")]);
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("4")).await;
}

#[tokio::test]
async fn links_of_keys_that_lead_out_are_not_followed_and_the_others_are() {
    let (_root, root) = folder();
    let volume_path = root.join("volume");
    fs::create_dir(&volume_path).expect("a folder");
    fs::write(root.join("secret"), "secret").expect("a file");
    fs::write(volume_path.join("a"), "0").expect("a file");
    symlink("a", volume_path.join("near")).expect("a link");
    symlink("/etc/passwd", volume_path.join("passwd")).expect("a link");
    symlink("../secret", volume_path.join("up")).expect("a link");
    let volume = contained(&volume_path).await;
    let snapshot = volume.snapshot();
    assert_eq!(text(&snapshot, "near"), Some("0"));
    assert!(outside(&snapshot, "passwd") && outside(&snapshot, "up"), "{snapshot:?}");

    // Without the option they are, as before.
    let open = Volume::open(&volume_path).await.expect("a volume").snapshot();
    assert_eq!(text(&open, "up"), Some("secret"));
}

#[tokio::test]
async fn a_data_directory_elsewhere_is_refused_and_so_are_links_in_one_that_was_forged() {
    let (_root, root) = folder();
    let elsewhere = root.join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    fs::write(elsewhere.join("a"), "secret").expect("a file");
    let forged = root.join("volume");
    fs::create_dir(&forged).expect("a folder");
    symlink(&elsewhere, forged.join("..data")).expect("a link");
    assert_eq!(refused(&forged).await, "outside");

    fs::remove_file(forged.join("..data")).expect("removed");
    fs::create_dir(forged.join("..1")).expect("a folder");
    symlink("..1", forged.join("..data")).expect("a link");
    symlink("../../elsewhere/a", forged.join("..1/a")).expect("a link");
    symlink(&elsewhere, forged.join("..1/folder")).expect("a link");
    let snapshot = contained(&forged).await.snapshot();
    assert!(outside(&snapshot, "a") && outside(&snapshot, "folder"), "{snapshot:?}");
    assert_eq!(snapshot.len(), 2);
}

#[tokio::test]
async fn a_volume_behind_a_link_is_refused_with_a_word_for_it() {
    let (_root, root) = folder();
    fs::create_dir(root.join("volume")).expect("a folder");
    fs::write(root.join("volume/a"), "0").expect("a file");
    symlink("volume", root.join("link")).expect("a link");
    symlink("/etc", root.join("out")).expect("a link");
    assert_eq!(refused(&root.join("link")).await, "link");
    assert_eq!(refused(&root.join("link/a")).await, "link");
    assert_eq!(refused(&root.join("out")).await, "outside");
    assert_eq!(refused(&root.join("out/passwd")).await, "link");
    assert_eq!(refused(&root.join("nothing")).await, "missing");
}

#[tokio::test]
async fn who_turns_a_link_around_while_it_is_read_gains_nothing() {
    let (_root, root) = folder();
    let path = root.join("volume");
    fs::create_dir_all(path.join("..1")).expect("a folder");
    fs::create_dir(root.join("elsewhere")).expect("a folder");
    fs::write(path.join("..1/a"), "good").expect("a file");
    fs::write(root.join("elsewhere/a"), "secret").expect("a file");
    symlink("..1", path.join("..data")).expect("a link");
    let volume = contained(&path).await;
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let writer = {
        let done = std::sync::Arc::clone(&done);
        std::thread::spawn(move || {
            for target in ["..1", "../elsewhere"].iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                symlink(target, path.join("..data_tmp")).expect("a link");
                fs::rename(path.join("..data_tmp"), path.join("..data")).expect("a swap");
            }
        })
    };
    let mut good = 0;
    for _ in 0..500 {
        // What could not be read was being turned around.
        if let Ok(snapshot) = volume.read().await {
            assert_eq!(text(&snapshot, "a"), Some("good"));
            good += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    writer.join().expect("no panic");
    assert!(good > 0, "it was never read");
}

fn length(bytes: &mut dyn Read) -> io::Result<Vec<u8>> {
    let length = io::copy(bytes, &mut io::sink())?;
    Ok(length.to_string().into_bytes())
}

#[tokio::test]
async fn what_is_kept_is_what_was_made_of_the_bytes() {
    let mut kubelet = Kubelet::with([("a", "four"), ("b", "123456789")]);
    let volume = Volume::builder(kubelet.path()).condense(length).max_size(8).open();
    let volume = volume.await.expect("a volume");
    let mut changes = volume.changes();
    assert_eq!(text(&volume.snapshot(), "a"), Some("4"));
    let too_large = Entry::Unreadable(Unreadable::TooLarge { limit: 8 });
    assert_eq!(volume.snapshot().entry("b"), Some(&too_large));
    // The first that comes is the marker: of the same length is the same.
    kubelet.write([("a", "five"), ("b", "123456789")]);
    kubelet.write([("a", "marker"), ("b", "123456789")]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(text(&snapshot, "a"), Some("6"));
}
