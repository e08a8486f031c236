//! What is sent, by tables; and that it is sent, to receivers of many kinds.

mod delivery;
mod receiver;
mod rendering;
mod tls;

use windlass_core::notice::{Notice, OCCASIONS, Occasion};
use windlass_core::reason::{Reason, State};
use windlass_core::workload::kind::{DEPLOYMENT, KindId};

use super::*;

fn origin() -> Origin {
    Origin {
        installation: "windlass-system/windlass".to_owned(),
        cluster: Some("prod".to_owned()),
    }
}

fn gathering() -> Gathering {
    Gathering::new(Occasions::new(&OCCASIONS).expect("all of them make sense"))
}

/// A batch of trouble of these workloads, each a namespace, a name and what is said of it.
fn trouble(of: &[(&str, &str, &str)]) -> Batch {
    let mut gathering = gathering();
    for (namespace, name, note) in of {
        let workload = windlass_core::types::name::WorkloadRef {
            namespace: (*namespace).into(),
            kind: DEPLOYMENT,
            name: (*name).into(),
        };
        let standing = Standing {
            workload: &workload,
            uid: &"uid".into(),
            state: State::Held,
            reason: Reason::SourceMissing,
            note,
            at: "2026-11-21T10:00:00.123456Z".parse().expect("a time"),
        };
        gathering.stands(&standing, "1");
    }
    gathering.take().expect("there is some")
}

fn notice(batch: &Batch) -> &Notice {
    batch.notices.first().expect("there is one")
}

fn as_restarted(batch: &Batch, kind: KindId) -> Notice {
    let mut notice = notice(batch).clone();
    notice.occasion = Occasion::Restarted;
    notice.workload.kind = kind;
    notice.id = "0123".to_owned();
    notice
}
