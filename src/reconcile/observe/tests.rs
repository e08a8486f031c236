use windlass_core::decide::{Restart, RestartMethod};
use windlass_core::types::name::{Name, Namespace, Version};
use windlass_core::workload::kind::DEPLOYMENT;

use super::*;
use crate::fixtures;

fn restart(reason: Reason) -> Plan {
    Plan {
        action: Action::Restart(Box::new(Restart {
            observed: String::new(),
            digest: String::new(),
            cause: String::new(),
            method: RestartMethod::Template,
            reloaded_from: None,
            marks: None,
            pause: None,
            sources: Vec::new(),
        })),
        state: State::Rolling,
        reason,
        detail: "ConfigMap web (key level)".into(),
        not_before: None,
        override_note: None,
        files: None,
    }
}

/// What is said of a workload after that.
fn said(plan: &Plan, outcome: &Outcome) -> String {
    let workload = WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from("web"),
    };
    let (state, reason, detail) = status_of(&workload, plan, outcome).expect("something is said");
    sentence(plan, true, state, reason, &detail)
}

#[test]
fn a_restart_is_said_to_be_one_only_if_it_is() {
    let written = || Outcome::Written {
        version: Version::new(1),
        change: None,
    };
    let waiting = Outcome::Waiting {
        rolling: 5,
        waiting: 7,
        full: None,
    };
    let not_tried = Outcome::NotTried {
        why: "quota".into(),
        until: Timestamp::UNIX_EPOCH,
    };
    for (reason, outcome, expected) in [
        (
            Reason::Restarted,
            written(),
            "restarted to run new content: ConfigMap web (key level)",
        ),
        (
            Reason::StartedMeanwhile,
            written(),
            "the content changed and changed back, but a pod started in between: ConfigMap web (key level)",
        ),
        (
            Reason::Restarted,
            Outcome::Observed(String::new()),
            "would be restarted to run new content (observe-only): ConfigMap web (key level)",
        ),
        (
            Reason::Restarted,
            Outcome::Failed(ApiError::Forbidden("no right".into())),
            "the API server does not allow the write: no right",
        ),
        (
            Reason::StartedMeanwhile,
            Outcome::Failed(ApiError::Rejected("quota".into())),
            "the API server refused the write: quota",
        ),
        (
            Reason::Restarted,
            waiting,
            "waiting for a rollout slot, because the parallelism limit is reached: --max-parallel; waiting: ConfigMap web \
             (key level)",
        ),
        (
            Reason::Restarted,
            not_tried,
            "the API server refused this change for other workloads that were tried first: quota",
        ),
    ] {
        assert_eq!(said(&restart(reason), &outcome), expected);
    }
}

#[test]
fn of_many_complaints_a_few_are_said_and_how_many_more_there_are() {
    let warnings = |count: usize| -> Vec<_> {
        let each = (0..count).map(|at| (Reason::InvalidAnnotation, format!("entry {at}")));
        each.chain([(Reason::OverrideHandled, "skipped".into())]).collect()
    };
    let texts = |count| -> Vec<_> {
        cap_warnings(warnings(count))
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    };
    let first: Vec<_> = ["skipped".to_owned()]
        .into_iter()
        .chain((0..NAMED).map(|at| format!("entry {at}")))
        .collect();
    assert_eq!(texts(0), first[..1]);
    assert_eq!(texts(NAMED), first);
    let many = texts(500);
    assert_eq!(
        (&many[..first.len()], &*many[first.len()]),
        (&*first, "492 more warnings of this kind")
    );
    assert_eq!(many.len(), first.len() + 1);
}

#[test]
fn no_text_of_others_can_begin_a_line_of_its_own() {
    let workload = WorkloadRef {
        namespace: Namespace::from("shop"),
        kind: DEPLOYMENT,
        name: Name::from("web"),
    };
    let (sender, mut events) = mpsc::channel(1);
    let observer = Observer::new(fixtures::metrics(), sender);
    let note = "installation x\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2K\u{202e}";
    let uid = windlass_core::types::name::Uid::from("u");
    observer.emit_event(&workload, &uid, Reason::OtherInstallation, note, Timestamp::UNIX_EPOCH);
    let event = events.try_recv().expect("an Event");
    assert_eq!(event.note, "Installation x 2026-01-01T00:00:00Z INFO all is well [2K");
}
