use http_body_util::{BodyExt as _, Full};

use super::*;

const LATER: Duration = Duration::from_secs(90);

fn felt(pulses: &WatchActivity, path: &str) -> ActivityBody<Full<&'static [u8]>> {
    ActivityBody::new(Full::new(b"bookmark"), Some((pulses.clone(), path.to_owned())))
}

#[test]
fn a_watch_that_brings_nothing_is_silent_from_its_beginning() {
    let pulses = WatchActivity::default();
    assert!(pulses.silences(Instant::now()).is_empty());
    let _watched = pulses.begin("configmaps", "/api/v1/configmaps");
    assert!(pulses.silences(Instant::now() + LATER)["configmaps"] >= LATER);
}

#[tokio::test]
async fn each_piece_of_an_answer_ends_the_silence_of_its_own_watch() {
    let pulses = WatchActivity::default();
    let _configmaps = pulses.begin("configmaps", "/api/v1/configmaps");
    let _secrets = pulses.begin("secrets", "/api/v1/secrets");
    let begun = Instant::now();
    while begun.elapsed().is_zero() {}
    let body = felt(&pulses, "/api/v1/secrets").collect().await.expect("a whole body");
    assert_eq!(body.to_bytes().as_ref(), b"bookmark", "nothing is taken away");
    let silences = pulses.silences(begun + LATER);
    assert!(silences["secrets"] < LATER, "{silences:?}");
    assert!(silences["configmaps"] >= LATER, "{silences:?}");
}

#[test]
fn of_several_watches_of_a_resource_the_most_silent_counts() {
    let pulses = WatchActivity::default();
    let _one = pulses.begin("configmaps", "/api/v1/namespaces/a/configmaps");
    let begun = Instant::now();
    while begun.elapsed().is_zero() {}
    let _other = pulses.begin("configmaps", "/api/v1/namespaces/b/configmaps");
    pulses.beat("/api/v1/namespaces/b/configmaps");
    assert!(pulses.silences(begun + LATER)["configmaps"] >= LATER);
}

#[test]
fn a_watch_that_ended_is_silent_no_more() {
    let pulses = WatchActivity::default();
    let one = pulses.begin("namespaces", "/api/v1/namespaces");
    let other = pulses.begin("namespaces", "/api/v1/namespaces");
    drop(one);
    assert!(pulses.silences(Instant::now()).contains_key("namespaces"));
    drop(other);
    pulses.beat("/api/v1/namespaces");
    assert!(pulses.silences(Instant::now()).is_empty());
}
