//! What a volume sees, for each way that a directory or file is written.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
    path::Path,
    time::Duration,
};

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use windlass_live::{Changes, Entry, Unreadable, Volume, Watching};

use crate::{
    kubelet::Kubelet,
    naive::FileWatch,
    support::{eventually, text, until},
};

/// Followed by events alone: a poll that comes after the deadline cannot help.
async fn open(path: &Path) -> (Volume, Changes) {
    let volume = Volume::builder(path)
        .poll(Duration::from_hours(1))
        .open()
        .await
        .expect("a volume");
    assert_eq!(volume.watching(), Watching::Inotify);
    let changes = volume.changes();
    (volume, changes)
}

fn write(path: &Path, content: &str) {
    fs::write(path, content).expect("a file");
}

fn rename_over(path: &Path, content: &str) {
    let temporary = path.with_extension("new");
    write(&temporary, content);
    fs::rename(temporary, path).expect("a rename");
}

#[tokio::test]
async fn all_keys_of_a_swap_change_at_once() {
    let mut kubelet = Kubelet::with([("user", "a"), ("password", "1")]);
    let (volume, mut changes) = open(kubelet.path()).await;
    assert_eq!(text(&volume.snapshot(), "user"), Some("a"));

    kubelet.write([("user", "b"), ("password", "2")]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(text(&snapshot, "user"), Some("b"));
    assert_eq!(text(&snapshot, "password"), Some("2"));
    assert_eq!(snapshot.len(), 2);
}

#[tokio::test]
async fn keys_come_and_go() {
    let mut kubelet = Kubelet::with([("a", "1")]);
    let (_volume, mut changes) = open(kubelet.path()).await;

    kubelet.write([("a", "1"), ("b", "2")]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(text(&snapshot, "b"), Some("2"));

    kubelet.write([("b", "2")]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(snapshot.entry("a"), None);

    kubelet.write([("", ""); 0]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert!(snapshot.is_empty());
}

#[tokio::test]
async fn a_swap_without_a_change_wakes_nobody() {
    let mut kubelet = Kubelet::with([("a", "1")]);
    let (_volume, mut changes) = open(kubelet.path()).await;
    kubelet.write([("a", "1")]);
    kubelet.write([("a", "1")]);
    kubelet.write([("a", "marker")]);
    // The first that comes is the marker.
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(text(&snapshot, "a"), Some("marker"));
}

#[tokio::test]
async fn items_with_folders_are_keys_with_slashes() {
    let mut kubelet = Kubelet::with([("conf.d/a.yaml", "1"), ("conf.d/deep/b.yaml", "2"), ("top", "3")]);
    let (volume, mut changes) = open(kubelet.path()).await;
    let snapshot = volume.snapshot();
    let keys: Vec<_> = snapshot.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["conf.d/a.yaml", "conf.d/deep/b.yaml", "top"]);

    kubelet.write([("conf.d/deep/b.yaml", "4")]);
    let snapshot = changes.next().await.expect("a snapshot");
    assert_eq!(text(&snapshot, "conf.d/deep/b.yaml"), Some("4"));
    assert_eq!(snapshot.len(), 1);
}

#[tokio::test]
async fn a_swap_is_seen_again_and_again_where_a_watch_on_a_file_dies() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let (_volume, mut changes) = open(kubelet.path()).await;
    let naive = FileWatch::new(&kubelet.path().join("a"));

    kubelet.write([("a", "1")]);
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("1")).await;
    assert!(naive.events() > 0, "it hears that its file was removed");
    for number in 2..5 {
        let number = number.to_string();
        kubelet.write([("a", &number)]);
        until(&mut changes, |snapshot| text(snapshot, "a") == Some(&number)).await;
        assert_eq!(naive.events(), 0, "and nothing ever after");
    }
}

#[tokio::test]
async fn a_plain_directory_is_seen_however_it_is_written() {
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("a");
    write(&file, "0");
    let (_volume, mut changes) = open(root.path()).await;

    write(&file, "in place");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("in place")).await;

    rename_over(&file, "renamed over");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("renamed over")).await;

    fs::remove_file(&file).expect("removed");
    until(&mut changes, |snapshot| snapshot.entry("a").is_none()).await;

    write(&file, "created");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("created")).await;

    write(&root.path().join("b"), "another");
    fs::create_dir(root.path().join("folder")).expect("a folder");
    let snapshot = until(&mut changes, |snapshot| text(snapshot, "b") == Some("another")).await;
    assert_eq!(snapshot.len(), 2, "folders are no keys");
}

#[tokio::test]
async fn a_single_file_is_seen_however_it_is_written() {
    let root = tempfile::tempdir().expect("a folder");
    let file = root.path().join("app.toml");
    write(&file, "0");
    let (volume, mut changes) = open(&file).await;
    assert_eq!(text(&volume.snapshot(), "app.toml"), Some("0"));

    write(&file, "in place");
    until(&mut changes, |snapshot| text(snapshot, "app.toml") == Some("in place")).await;
    rename_over(&file, "renamed over");
    until(&mut changes, |snapshot| {
        text(snapshot, "app.toml") == Some("renamed over")
    })
    .await;

    fs::remove_file(&file).expect("removed");
    eventually("it says that the file is gone", || {
        volume.trouble().is_some_and(|trouble| trouble.kind() == "missing")
    })
    .await;
    assert_eq!(
        text(&volume.snapshot(), "app.toml"),
        Some("renamed over"),
        "the last good one"
    );
    write(&file, "created");
    until(&mut changes, |snapshot| text(snapshot, "app.toml") == Some("created")).await;
    assert_eq!(volume.trouble(), None);
}

#[tokio::test]
async fn a_single_file_of_a_volume_follows_its_swaps() {
    let mut kubelet = Kubelet::with([("a", "0"), ("b", "0")]);
    let (volume, mut changes) = open(&kubelet.path().join("a")).await;
    assert_eq!(volume.snapshot().len(), 1);
    for number in 1..4 {
        let number = number.to_string();
        kubelet.write([("a", &number), ("b", &number)]);
        until(&mut changes, |snapshot| text(snapshot, "a") == Some(&number)).await;
    }
}

#[tokio::test]
async fn what_a_symlink_leads_to_is_seen_as_well() {
    let root = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let target = elsewhere.path().join("real");
    write(&target, "0");
    symlink(&target, root.path().join("a")).expect("a link");
    let (_volume, mut changes) = open(root.path()).await;

    write(&target, "in place");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("in place")).await;
    rename_over(&target, "renamed over");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("renamed over")).await;
}

#[tokio::test]
async fn a_directory_behind_a_link_is_seen_when_the_link_is_turned() {
    let root = tempfile::tempdir().expect("a folder");
    for version in ["one", "two"] {
        fs::create_dir_all(root.path().join(version).join("etc")).expect("a folder");
        write(&root.path().join(version).join("etc/a"), version);
    }
    let current = root.path().join("current");
    symlink("one", &current).expect("a link");
    let (_volume, mut changes) = open(&current.join("etc")).await;

    symlink("two", root.path().join("next")).expect("a link");
    fs::rename(root.path().join("next"), &current).expect("a rename");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("two")).await;
    write(&root.path().join("two/etc/a"), "three");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("three")).await;
}

#[tokio::test]
async fn the_directory_itself_may_be_replaced() {
    let mut old = Kubelet::with([("a", "old")]);
    let (volume, mut changes) = open(old.path()).await;
    let aside = old.parent().join("aside");
    fs::rename(old.path(), &aside).expect("a rename");
    eventually("it says that the directory is gone", || volume.trouble().is_some()).await;
    assert_eq!(text(&volume.snapshot(), "a"), Some("old"), "the last good one");

    let path = old.path().to_owned();
    let mut new = Kubelet::with([("a", "new")]);
    fs::rename(new.path(), &path).expect("a rename");
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("new")).await;
    // Written under its old name, it is the same volume all the same.
    symlink(&path, new.path()).expect("a link");
    new.write([("a", "newer")]);
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("newer")).await;
    fs::remove_file(&path).ok();
    fs::remove_dir_all(&path).expect("removed");
    eventually("it says that the directory is gone", || volume.trouble().is_some()).await;
    fs::create_dir(&path).expect("a folder");
    old.write([("a", "newest")]);
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("newest")).await;
    assert_eq!(volume.trouble(), None);
}

#[test]
fn a_permission_may_be_lost_and_regained() {
    without_root(async {
        let root = tempfile::tempdir().expect("a folder");
        let directory = root.path().join("volume");
        fs::create_dir(&directory).expect("a folder");
        let (file, other) = (directory.join("a"), directory.join("b"));
        write(&file, "0");
        write(&other, "0");
        let (volume, mut changes) = open(&directory).await;
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };

        mode(&file, 0);
        let snapshot = until(&mut changes, |snapshot| snapshot.get("a").is_none()).await;
        assert_eq!(snapshot.entry("a"), Some(&Entry::Unreadable(Unreadable::Denied)));
        assert_eq!(text(&snapshot, "b"), Some("0"), "the other keys go on");
        mode(&file, 0o600);
        until(&mut changes, |snapshot| text(snapshot, "a") == Some("0")).await;

        mode(&directory, 0);
        eventually("it says that it is denied", || {
            volume.trouble().is_some_and(|trouble| trouble.kind() == "denied")
        })
        .await;
        assert_eq!(text(&volume.snapshot(), "a"), Some("0"), "the last good one");
        mode(&directory, 0o700);
        eventually("it is read again", || volume.trouble().is_none()).await;
        write(&file, "1");
        until(&mut changes, |snapshot| text(snapshot, "a") == Some("1")).await;
    });
}

/// Runs on threads that are denied what root is never denied.
fn without_root(test: impl Future<Output = ()> + Send + 'static) {
    let denied = std::thread::spawn(|| {
        let mut sets = capabilities(None).expect("capabilities");
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).expect("fewer capabilities");
        // Its blocking threads inherit them.
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(test);
    });
    if let Err(panic) = denied.join() {
        std::panic::resume_unwind(panic);
    }
}

#[tokio::test]
async fn a_dangling_link_is_reported_and_the_others_go_on() {
    let root = tempfile::tempdir().expect("a folder");
    write(&root.path().join("a"), "0");
    symlink("nowhere", root.path().join("b")).expect("a link");
    symlink("loop", root.path().join("loop")).expect("a link");
    let (volume, mut changes) = open(root.path()).await;
    let snapshot = volume.snapshot();
    assert_eq!(snapshot.entry("b"), Some(&Entry::Unreadable(Unreadable::Dangling)));
    assert_eq!(snapshot.entry("loop"), Some(&Entry::Unreadable(Unreadable::Dangling)));
    assert_eq!(text(&snapshot, "a"), Some("0"));

    write(&root.path().join("nowhere"), "here now");
    until(&mut changes, |snapshot| text(snapshot, "b") == Some("here now")).await;
}

#[tokio::test]
async fn a_dangling_data_link_keeps_the_last_good_version() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let (volume, mut changes) = open(kubelet.path()).await;
    fs::remove_dir_all(
        kubelet
            .path()
            .join(fs::read_link(kubelet.path().join("..data")).expect("a link")),
    )
    .expect("removed");
    symlink("..nowhere", kubelet.path().join("..data_tmp")).expect("a link");
    fs::rename(kubelet.path().join("..data_tmp"), kubelet.path().join("..data")).expect("a rename");
    eventually("it says so", || {
        volume.trouble().is_some_and(|trouble| trouble.kind() == "dangling")
    })
    .await;
    assert_eq!(text(&volume.snapshot(), "a"), Some("0"));
    fs::remove_file(kubelet.path().join("..data")).expect("removed");
    kubelet.write([("a", "1")]);
    until(&mut changes, |snapshot| text(snapshot, "a") == Some("1")).await;
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_left_out_and_named() {
    let root = tempfile::tempdir().expect("a folder");
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::write(root.path().join(name), "x").expect("a file");
    write(&root.path().join("a"), "0");
    let (volume, _changes) = open(root.path()).await;
    let snapshot = volume.snapshot();
    assert_eq!(snapshot.nameless(), [name]);
    assert_eq!(snapshot.len(), 1);
}

#[tokio::test]
async fn a_key_of_a_mebibyte_is_read_whole_and_one_that_is_too_large_is_reported() {
    let big = "x".repeat(1 << 20);
    let mut kubelet = Kubelet::with([("big", &*big), ("small", "0")]);
    let (volume, mut changes) = open(kubelet.path()).await;
    assert_eq!(volume.snapshot().get("big").map(|content| content.len()), Some(1 << 20));

    let small = Volume::builder(kubelet.path())
        .max_size(1000)
        .open()
        .await
        .expect("a volume");
    let too_large = Entry::Unreadable(Unreadable::TooLarge { limit: 1000 });
    assert_eq!(small.snapshot().entry("big"), Some(&too_large));
    assert_eq!(text(&small.snapshot(), "small"), Some("0"));

    let other = "y".repeat(1 << 20);
    kubelet.write([("big", &*other), ("small", "0")]);
    until(&mut changes, |snapshot| text(snapshot, "big") == Some(&other)).await;
}

#[tokio::test]
async fn a_pipe_is_no_key_and_does_not_block() {
    let root = tempfile::tempdir().expect("a folder");
    let pipe = root.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("a pipe");
    let (volume, _changes) = open(root.path()).await;
    assert_eq!(
        volume.snapshot().entry("pipe"),
        Some(&Entry::Unreadable(Unreadable::NotAFile))
    );
}

#[tokio::test]
async fn the_poll_alone_sees_everything_a_little_later() {
    let mut kubelet = Kubelet::with([("a", "0")]);
    let volume = Volume::builder(kubelet.path())
        .without_inotify()
        .poll_alone(Duration::from_millis(10))
        .open()
        .await
        .expect("a volume");
    assert_eq!(volume.watching(), Watching::Poll);
    let mut changes = volume.changes();
    for number in 1..4 {
        let number = number.to_string();
        kubelet.write([("a", &number)]);
        until(&mut changes, |snapshot| text(snapshot, "a") == Some(&number)).await;
    }
}

#[tokio::test]
async fn a_volume_that_cannot_be_read_is_an_error_that_names_it() {
    let root = tempfile::tempdir().expect("a folder");
    let path = root.path().join("none");
    let error = Volume::open(&path).await.expect_err("nothing is there");
    assert_eq!(error.kind(), "missing");
    assert_eq!(error.to_string(), format!("{} does not exist", path.display()));
}

#[tokio::test]
async fn fifty_volumes_share_one_inotify_instance() {
    let kubelets: Vec<_> = (0..50).map(|_| Kubelet::with([("a", "0")])).collect();
    let mut open_volumes = Vec::new();
    for kubelet in &kubelets {
        open_volumes.push(open(kubelet.path()).await);
    }
    let instances = fs::read_dir("/proc/self/fd")
        .expect("a list")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().contains("inotify"))
        .count();
    // The naive watch of another test may be open as well.
    assert!(instances <= 3, "{instances} instances");
    for (mut kubelet, (_volume, mut changes)) in kubelets.into_iter().zip(open_volumes) {
        kubelet.write([("a", "1")]);
        until(&mut changes, |snapshot| text(snapshot, "a") == Some("1")).await;
    }
}
