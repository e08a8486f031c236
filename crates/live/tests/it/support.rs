//! Waiting for a condition with a deadline.

use std::{sync::Arc, time::Duration};

use windlass_live::{Changes, Content, Snapshot};

/// Far more than anything takes, even on a machine that does something else.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// The first snapshot that is as wished.
pub async fn until(changes: &mut Changes, wish: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let wait = async {
        if wish(changes.last()) {
            return Arc::clone(changes.last());
        }
        loop {
            let snapshot = changes.next().await.expect("the volume is followed");
            if wish(&snapshot) {
                return snapshot;
            }
        }
    };
    let found = tokio::time::timeout(DEADLINE, wait).await;
    found.unwrap_or_else(|_| panic!("not as wished: {:?}", changes.last()))
}

/// Waits until something that tells nobody has become true.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, wait).await.is_ok(),
        "not within the deadline: {what}"
    );
}

/// The text under a key.
pub fn text<'a>(snapshot: &'a Snapshot, key: &str) -> Option<&'a str> {
    snapshot.get(key).and_then(Content::text)
}
