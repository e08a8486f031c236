//! What the kernel does and what is done in its place is the same.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A folder `in` beside a file `secret`.
fn place() -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(root.path().join("in/sub/deep")).expect("folders");
    fs::write(root.path().join("secret"), "secret").expect("a file");
    fs::write(root.path().join("in/file"), "inside").expect("a file");
    fs::write(root.path().join("in/sub/file"), "below").expect("a file");
    root
}

fn handle(root: &TempDir) -> OwnedFd {
    openat(CWD, root.path().join("in"), DIRECTORY, Mode::empty()).expect("a folder")
}

fn content(opened: Result<OwnedFd, Errno>) -> Result<String, Errno> {
    let mut text = String::new();
    let read = File::from(opened?).read_to_string(&mut text);
    read.map_err(|error| Errno::from_io_error(&error).expect("a number"))?;
    Ok(text)
}

/// By the kernel, and by steps.
fn both(directory: &OwnedFd, path: &str, flags: OFlags) -> [Result<String, Errno>; 2] {
    let kernel = by_kernel(directory.as_fd(), OsStr::new(path), flags, ResolveFlags::BENEATH);
    [
        content(kernel.expect("a kernel of 5.6 or later runs the tests")),
        content(by_steps(directory.as_fd(), OsStr::new(path), flags)),
    ]
}

#[test]
fn what_stays_within_is_opened_and_what_leads_out_is_not() {
    let root = place();
    let link = |name: &str, target: &str| symlink(target, root.path().join("in").join(name)).expect("a link");
    link("near", "file");
    link("deep", "sub/deep/../file");
    link("twice", "deep");
    link("folder", "sub");
    link("out", "../secret");
    link("around", "sub/../../secret");
    link("back", "../in/file");
    link("sub/up", "../file");
    link("sub/out", "../../secret");
    link("absolute", root.path().join("in/file").to_str().expect("a path"));
    link("shadow", "/etc/shadow");
    link("nowhere", "missing");
    link("itself", "itself");
    link("process", "/proc/self/exe");
    let directory = handle(&root);
    for (path, expected) in [
        ("file", Ok("inside")),
        ("near", Ok("inside")),
        ("deep", Ok("below")),
        ("twice", Ok("below")),
        ("folder/file", Ok("below")),
        ("folder/../file", Ok("inside")),
        ("sub/up", Ok("inside")),
        ("out", Err(Errno::XDEV)),
        ("around", Err(Errno::XDEV)),
        ("back", Err(Errno::XDEV)),
        ("sub/out", Err(Errno::XDEV)),
        ("absolute", Err(Errno::XDEV)),
        ("shadow", Err(Errno::XDEV)),
        ("process", Err(Errno::XDEV)),
        ("..", Err(Errno::XDEV)),
        ("../in/file", Err(Errno::XDEV)),
        ("nowhere", Err(Errno::NOENT)),
        ("itself", Err(Errno::LOOP)),
        ("file/x", Err(Errno::NOTDIR)),
        ("sub", Err(Errno::ISDIR)),
    ] {
        let expected = expected.map(str::to_owned);
        assert_eq!(both(&directory, path, FILE), [expected.clone(), expected], "{path}");
    }
}

#[test]
fn a_path_with_a_link_in_it_is_told_apart_from_one_without() {
    let root = place();
    // The folder for temporary files may be behind a link.
    let root = fs::canonicalize(root.path()).expect("a path").join("in");
    symlink("sub", root.join("link")).expect("a link");
    symlink("file", root.join("to-file")).expect("a link");
    for (path, flags, expected) in [
        ("sub/file", FILE, Ok("below")),
        ("link/file", FILE, Err(Errno::LOOP)),
        ("to-file", FILE, Err(Errno::LOOP)),
        ("link", DIRECTORY, Err(Errno::LOOP)),
        ("file", DIRECTORY, Err(Errno::NOTDIR)),
        ("missing", FILE, Err(Errno::NOENT)),
    ] {
        let path = root.join(path);
        let expected = expected.map(str::to_owned);
        let kernel = by_kernel(CWD, path.as_os_str(), flags, ResolveFlags::NO_SYMLINKS);
        let kernel = content(kernel.expect("a kernel of 5.6 or later runs the tests"));
        assert_eq!(kernel, expected, "{}", path.display());
        assert_eq!(content(by_plain_steps(&path, flags)), expected, "{}", path.display());
    }
}

#[test]
fn what_ends_with_a_slash_is_a_directory_or_nothing() {
    let root = place();
    for (name, target) in [("to-file", "file/"), ("to-file-dot", "file/."), ("to-sub", "sub//")] {
        symlink(target, root.path().join("in").join(name)).expect("a link");
    }
    let directory = handle(&root);
    for (path, expected) in [
        ("to-file", Err(Errno::NOTDIR)),
        ("to-file-dot", Err(Errno::NOTDIR)),
        ("to-sub/file", Ok("below")),
        ("to-sub/../file", Ok("inside")),
    ] {
        let [kernel, steps] = both(&directory, path, FILE);
        let expected = expected.map(str::to_owned);
        assert_eq!((kernel, steps), (expected.clone(), expected), "{path}");
    }
}

#[test]
fn links_that_are_turned_around_meanwhile_never_lead_out() {
    const READINGS: usize = 3_000;
    let root = place();
    let inside = root.path().join("in");
    let directory = handle(&root);
    let done = AtomicBool::new(false);
    let mut seen = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for target in ["file", "../secret", "sub/../file", "sub/../../secret"].iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                symlink(target, inside.join("next")).expect("a link");
                fs::rename(inside.join("next"), inside.join("link")).expect("renamed over");
            }
        });
        // On a busy machine the other thread may not have begun after so many readings.
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut readings = 0;
        while readings < READINGS || (seen == 0 && Instant::now() < deadline) {
            readings += 1;
            for result in [
                content(within(directory.as_fd(), OsStr::new("link"), FILE)),
                content(by_steps(directory.as_fd(), OsStr::new("link"), FILE)),
            ] {
                match result {
                    Ok(text) => {
                        seen += 1;
                        assert_eq!(text, "inside");
                    }
                    Err(errno) => assert!(matches!(errno, Errno::XDEV | Errno::NOENT), "{errno}"),
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(seen > 0, "the link was never seen leading to the file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever links there are: by steps it comes out where the kernel does.
    #[test]
    fn by_steps_it_comes_out_where_the_kernel_does(
        targets in prop::collection::vec(prop::collection::vec(
            prop::sample::select(vec!["..", ".", "sub", "deep", "file", "l0", "l1", "l2", "/"]), 1..5), 3),
        path in prop::collection::vec(
            prop::sample::select(vec!["..", "sub", "deep", "file", "l0", "l1", "l2"]), 1..4),
    ) {
        let root = place();
        for (number, target) in targets.iter().enumerate() {
            symlink(target.join("/"), root.path().join(format!("in/l{number}"))).expect("a link");
        }
        let directory = handle(&root);
        let [kernel, steps] = both(&directory, &path.join("/"), FILE);
        // Which of several things that are wrong is found first may differ, not whether it is wrong.
        prop_assert_eq!(kernel.as_ref().ok(), steps.as_ref().ok(), "{:?} {:?}", &kernel, &steps);
    }
}
