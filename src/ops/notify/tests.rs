//! What is sent, by tables; and that it is sent, to receivers of many kinds.

mod delivery;
mod receiver;
mod rendering;
mod tls;

use windlass_core::notice::{Notice, NoticeKind};
use windlass_core::reason::{Reason, State};
use windlass_core::workload::kind::{DEPLOYMENT, KindId};

use super::*;

fn origin() -> MessageSource {
    MessageSource {
        installation: "windlass-system/windlass".to_owned(),
        cluster: Some("prod".to_owned()),
    }
}

fn batcher() -> Batcher {
    Batcher::new(NoticeKinds::new(&NoticeKind::ALL).expect("all of them make sense"))
}

/// A batch of trouble of these workloads, each a namespace, a name and what is said of it.
fn trouble(of: &[(&str, &str, &str)]) -> Batch {
    let mut batcher = batcher();
    for (namespace, name, note) in of {
        let workload = windlass_core::types::name::WorkloadRef {
            namespace: (*namespace).into(),
            kind: DEPLOYMENT,
            name: (*name).into(),
        };
        let standing = WorkloadCondition {
            workload: &workload,
            uid: &"uid".into(),
            state: State::Held,
            reason: Reason::SourceMissing,
            note,
            at: "2026-11-21T10:00:00.123456Z".parse().expect("a time"),
        };
        batcher.status_changed(&standing, "1");
    }
    batcher.take().expect("there is some")
}

fn notice(batch: &Batch) -> &Notice {
    batch.notices.first().expect("there is one")
}

fn as_restarted(batch: &Batch, kind: KindId) -> Notice {
    let mut notice = notice(batch).clone();
    notice.kind = NoticeKind::Restarted;
    notice.workload.kind = kind;
    notice.id = "0123".to_owned();
    notice
}
