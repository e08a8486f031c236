use super::*;

fn attempt(succeeded: bool, output: &str) -> Attempt {
    let mut attempt = Attempt {
        succeeded,
        ..Attempt::default()
    };
    output.lines().for_each(|line| attempt.read(line));
    attempt
}

const TWO_FAILED: &str = "
running 3 tests
test ops::tests::slow ... FAILED
test ops::tests::quick ... ok

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s

running 1 test
test changes::live ... FAILED

failures:
    changes::live

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
";

#[test]
fn what_failed_runs_again_wherever_it_is() {
    let again = attempt(false, TWO_FAILED).worth_another();
    assert_eq!(again, ["changes::live", "ops::tests::slow"]);
    assert!(attempt(true, "").worth_another().is_empty());
}

#[test]
fn what_has_no_name_is_not_forgiven() {
    for (what, output) in [
        ("it does not compile", String::new()),
        ("a program crashed", format!("{TWO_FAILED}\nrunning 7 tests\n")),
        (
            "a line was lost",
            TWO_FAILED.replace("test changes::live ...", "something else"),
        ),
        (
            "an example of the documentation",
            TWO_FAILED.replace("changes::live", "live/src/lib.rs - (line 12)"),
        ),
        ("too many", {
            let line = |number| format!("test many::number_{number} ... FAILED\n");
            let lines: String = (0..=FEW).map(line).collect();
            format!("running 13 tests\n{lines}test result: FAILED. 0 passed; 13 failed; 0 ignored")
        }),
    ] {
        assert!(attempt(false, &output).worth_another().is_empty(), "{what}");
    }
}

#[test]
fn a_second_run_proves_only_what_it_ran() {
    let names = ["a::b".to_owned(), "c::d".to_owned()];
    assert!(attempt(true, "test a::b ... ok\ntest c::d ... ok").proves(&names));
    assert!(!attempt(true, "test a::b ... ok").proves(&names));
    assert!(!attempt(false, "test a::b ... ok\ntest c::d ... ok").proves(&names));
}
