//! Sources of unusual size and form.

use k8s_openapi::ByteString;
use serde_json::{Map, json};

use crate::support::{
    Test,
    build::{deployment, env, volume},
    tests, value,
};

tests! {
    a_config_map_of_almost_a_mebibyte_works: live, live_paged;
    a_config_map_of_three_thousand_keys_works: live, down;
    binary_data_counts: live, down;
    a_key_that_moves_to_binary_data_is_no_change: live, down, paused;
}

/// The API server takes one mebibyte of keys and values in all, and one and a half of request.
const LARGE: usize = 1_000_000;

async fn a_config_map_of_almost_a_mebibyte_works(t: &Test) {
    let fill = "x".repeat(LARGE);
    t.config("large", &[("fill", &fill), ("level", "A"), ("unused", "A")])
        .await;
    t.deploy(deployment("env").uses(env("large", "level"))).await;
    t.deploy(deployment("volume").uses(volume("large"))).await;
    t.start_and_adopt(&[]).await;

    t.config("large", &[("fill", &fill), ("level", "A"), ("unused", "B")])
        .await;
    t.rolls("volume", 1).await;
    t.rolls("env", 0).await;
    t.config("large", &[("fill", &fill), ("level", "B"), ("unused", "B")])
        .await;
    t.rolls("volume", 2).await;
    t.rolls("env", 1).await;
}

async fn a_config_map_of_three_thousand_keys_works(t: &Test) {
    let content = |last: &str| {
        let keys: Map<_, _> = (0..3000)
            .map(|number| {
                (
                    format!("key-{number:04}"),
                    json!(value(if number == 2999 { last } else { "A" })),
                )
            })
            .collect();
        json!({"data": keys})
    };
    t.config_object("many", content("A")).await;
    t.deploy(deployment("volume").uses(volume("many"))).await;
    t.deploy(deployment("last").uses(env("many", "key-2999"))).await;
    t.deploy(deployment("first").uses(env("many", "key-0000"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config_object("many", content("B"))).await;

    t.rolls("volume", 1).await;
    t.rolls("last", 1).await;
    t.rolls("first", 0).await;
    let message = t.event("volume", "Restarted").await;
    // Which of so many it was is known only to who has seen both contents: no baseline holds that.
    let expected = if t.is_live() {
        "ConfigMap many (key key-2999)"
    } else {
        "ConfigMap many"
    };
    assert!(message.contains(expected), "{message}");
}

fn binary(bytes: &[u8]) -> serde_json::Value {
    serde_json::to_value(ByteString(bytes.to_vec())).expect("JSON")
}

async fn binary_data_counts(t: &Test) {
    let content = |used: &[u8], unused: &[u8]| json!({"binaryData": {"used": binary(used), "unused": binary(unused)}});
    // Not text, and not even its beginning is.
    t.config_object("web", content(&[0xff, 0x00, 0x01], &[0xfe])).await;
    t.deploy(deployment("web").uses(volume("web").items(&[("used", "used")])))
        .await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(t.config_object("web", content(&[0xff, 0x00, 0x01], &[0xfd])))
        .await;
    t.rolls("web", 0).await;
    t.meanwhile(t.config_object("web", content(&[0xff, 0x00, 0x02], &[0xfd])))
        .await;
    t.rolls("web", 1).await;
}

async fn a_key_that_moves_to_binary_data_is_no_change(t: &Test) {
    t.config("web", &[("level", "A"), ("other", "A")]).await;
    t.deploy(deployment("web").uses(volume("web"))).await;
    t.start_and_adopt(&[]).await;

    t.meanwhile(async {
        let level = binary(value("A").as_bytes());
        let content = json!({"data": {"other": value("A")}, "binaryData": {"level": level}});
        t.config_object("web", content).await;
    })
    .await;

    t.rolls("web", 0).await;
}
