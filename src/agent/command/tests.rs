use std::time::Instant;

use super::*;

fn words(words: &[&str]) -> CommandLine {
    let mut words = words.iter().map(|word| (*word).to_owned());
    CommandLine {
        program: words.next().expect("a program"),
        arguments: words.collect(),
    }
}

async fn shell(script: &str, limit: Duration) -> CommandEnd {
    run(&words(&["sh", "-c", script]), Path::new("/etc/app"), limit).await
}

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn what_a_command_says_is_kept_when_it_refuses() {
    assert_eq!(shell("echo noise", LONG).await, CommandEnd::Good);
    assert_eq!(
        shell("test \"$WINDLASS_VOLUME\" = /etc/app", LONG).await,
        CommandEnd::Good
    );
    let said = shell("echo line 3: bad >&2; echo more; exit 2", LONG).await;
    assert_eq!(said, CommandEnd::Bad("line 3: bad more".to_owned()));
    let silent = shell("exit 3", LONG).await;
    assert_eq!(silent, CommandEnd::Bad("exited with 3 and no output".to_owned()));
}

#[tokio::test]
async fn what_cannot_run_or_is_killed_is_broken() {
    let missing = run(&words(&["/no/such/program"]), Path::new("/"), LONG).await;
    assert!(matches!(&missing, CommandEnd::Broken(text) if text.starts_with("cannot start /no/such/program")));
    assert!(matches!(shell("kill -9 $$", LONG).await, CommandEnd::Broken(_)));
}

#[tokio::test]
async fn of_a_flood_of_words_both_ends_are_kept() {
    let end = shell(
        "printf FAILED; head -c 1000000 /dev/zero | tr '\\0' x; echo because; exit 1",
        LONG,
    )
    .await;
    let CommandEnd::Bad(text) = end else { panic!("{end:?}") };
    let ends = text.starts_with("FAILEDxxx") && text.ends_with("xxxbecause");
    assert!(text.len() <= 300 && ends, "{text}");
}

#[tokio::test]
async fn a_child_that_keeps_the_pipe_open_does_not_hold_up_the_end() {
    let started = Instant::now();
    let end = shell("sleep 45 & echo bad; exit 1", LONG).await;
    assert_eq!(end, CommandEnd::Bad("bad".to_owned()));
    assert!(started.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $! > {0}; echo $$ >> {0}; wait", pids.display());
    let end = shell(&script, Duration::from_secs(10)).await;
    assert!(
        matches!(&end, CommandEnd::Broken(text) if text.contains("did not finish within 10s")),
        "{end:?}"
    );
    let text = std::fs::read_to_string(&pids).expect("the numbers");
    assert_eq!(text.lines().count(), 2, "{text}");
    for pid in text.lines() {
        let deadline = Instant::now() + LONG;
        while alive(pid) {
            assert!(Instant::now() < deadline, "{pid} is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A zombie waits for its parent, which is not us.
fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}
