//! Where to tell of restarts and trouble, and what.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use windlass_core::notice::{Occasion, Occasions};

use super::{
    NOTIFY_CA_FILE, NOTIFY_CLOUDEVENTS, NOTIFY_CLUSTER, NOTIFY_INTERVAL, NOTIFY_ON, NOTIFY_SLACK, NOTIFY_TEAMS, list,
};
use crate::cli::UsageError;
use crate::cli::args::NotifyArgs;
use crate::cli::setting::{Setting, duration_in};
use crate::ops::Notifications;

const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// Takes each value as the other flags do; URLs without repeating them in an error.
pub(super) fn notifications(
    raw: NotifyArgs,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Notifications, UsageError> {
    let NotifyArgs {
        cloudevents,
        slack,
        teams,
        on,
        interval,
        cluster,
        ca_file,
    } = raw;
    let setting = |flag, given| Setting::new(flag, given, env);
    Ok(Notifications {
        cloudevents: setting(NOTIFY_CLOUDEVENTS, cloudevents).read_secret(|text| text.parse().ok())?,
        slack: setting(NOTIFY_SLACK, slack).read_secret(|text| text.parse().ok())?,
        teams: setting(NOTIFY_TEAMS, teams).read_secret(|text| text.parse().ok())?,
        on: setting(NOTIFY_ON, on).read(occasions)?,
        interval: setting(NOTIFY_INTERVAL, interval).read(|text| duration_in(text, &INTERVAL))?,
        cluster: setting(NOTIFY_CLUSTER, cluster).read_optional(|text| is_plain_name(text).then(|| text.to_owned()))?,
        ca_file: setting(NOTIFY_CA_FILE, ca_file).path(),
    })
}

fn occasions(text: &str) -> Option<Occasions> {
    Occasions::new(&list(text).map(Occasion::named).collect::<Option<Vec<_>>>()?)
}

/// Nothing that a URL or a message would act upon.
fn is_plain_name(text: &str) -> bool {
    text.len() <= 63 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}
