use serde_json::json;

use super::*;
use crate::k8s::mock::{Answer, Api};

const GET: &str = "GET /api/v1/namespaces/ops/secrets/windlass-digest-key";
const CREATE: &str = "POST /api/v1/namespaces/ops/secrets?";

async fn load(api: &Api) -> Result<KeyRing, KeyError> {
    let now = Timestamp::from_second(1_795_258_662).expect("a time");
    let kept_in = KeyStore(SourceKind::Secret);
    load_or_create(
        &api.client(),
        kept_in,
        "ops",
        "windlass-digest-key",
        now,
        Duration::from_secs(5),
    )
    .await
}

fn secret(id: &str, bytes: usize) -> Answer {
    Answer::ok(json!({ "data": { id: BASE64.encode(vec![7; bytes]) } }))
}

fn missing() -> Answer {
    Answer {
        code: 404,
        body: json!({ "message": "not found" }),
    }
}

#[tokio::test]
async fn the_secret_that_is_there_is_used() {
    let api = Api::expecting([(GET, secret("k1", 32))]);
    assert_eq!(load(&api).await.expect("a ring").newest().id(), "k1");
    api.finish().await;
}

#[tokio::test]
async fn a_missing_one_is_made_with_a_random_key_and_read_back() {
    let api = Api::expecting([
        (GET, missing()),
        (
            CREATE,
            Answer {
                code: 201,
                body: json!({}),
            },
        ),
        (GET, secret("k1795258662", 32)),
    ]);
    load(&api).await.expect("a ring");
    let bodies = api.finish().await;
    let made = bodies
        .get(1)
        .and_then(|body| body["data"]["k1795258662"].as_str())
        .expect("a key");
    assert_eq!(BASE64.decode(made).expect("base64").len(), KEY_BYTES);
    assert_ne!(made, BASE64.encode([0; KEY_BYTES]), "random");
}

#[tokio::test]
async fn one_that_another_replica_makes_meanwhile_is_used() {
    let api = Api::expecting([
        (GET, missing()),
        (
            CREATE,
            Answer {
                code: 409,
                body: json!({}),
            },
        ),
        (GET, secret("theirs", 32)),
    ]);
    assert_eq!(load(&api).await.expect("a ring").newest().id(), "theirs");
    api.finish().await;
}

#[tokio::test]
async fn one_that_holds_something_else_is_named_and_not_touched() {
    for answer in [
        secret("k1", 16),
        Answer::ok(json!({ "data": {} })),
        secret("a name that is far too long", 32),
    ] {
        let api = Api::expecting([(GET, answer)]);
        let error = load(&api).await.expect_err("no key").to_string();
        assert!(
            error.contains("Secret ops/windlass-digest-key has no usable digest key"),
            "{error}"
        );
        api.finish().await;
    }
}

#[tokio::test]
async fn a_missing_right_is_named_and_the_key_never_is() {
    let message = "secrets \"windlass-digest-key\" is forbidden: User \"w\" cannot get resource \"secrets\"";
    let api = Api::expecting([(
        GET,
        Answer {
            code: 403,
            body: json!({ "message": message }),
        },
    )]);
    let error = load(&api).await.expect_err("no right").to_string();
    assert!(error.contains("cannot get resource"), "{error}");
    api.finish().await;
}

const GET_CONFIG_MAP: &str = "GET /api/v1/namespaces/ops/configmaps/windlass-digest-key";
const CREATE_CONFIG_MAP: &str = "POST /api/v1/namespaces/ops/configmaps?";

async fn load_from(api: &Api, kind: SourceKind) -> Result<KeyRing, KeyError> {
    let now = Timestamp::from_second(1_795_258_662).expect("a time");
    let (client, timeout) = (api.client(), Duration::from_secs(5));
    super::load(&client, KeyStore(kind), "ops", "windlass-digest-key", now, timeout).await
}

fn config_map(id: &str) -> Answer {
    Answer::ok(json!({ "binaryData": { id: BASE64.encode([9; KEY_BYTES]) } }))
}

#[tokio::test]
async fn without_secrets_the_key_is_in_a_config_map_and_no_secret_is_asked_for() {
    let created = Answer {
        code: 201,
        body: json!({}),
    };
    let api = Api::expecting([
        (GET_CONFIG_MAP, missing()),
        (CREATE_CONFIG_MAP, created),
        (GET_CONFIG_MAP, config_map("k1795258662")),
    ]);
    let ring = load_from(&api, SourceKind::ConfigMap).await.expect("a ring");
    assert_eq!(ring.newest().id(), "k1795258662");
    let bodies = api.finish().await;
    let made = bodies.get(1).expect("one was made");
    assert!(made["binaryData"]["k1795258662"].is_string(), "{made}");
    assert!(made.get("data").is_none() && made.get("type").is_none(), "{made}");
}

#[tokio::test]
async fn with_secrets_the_key_of_the_config_map_is_read_with_only() {
    let api = Api::expecting([(GET, secret("k1", 32)), (GET_CONFIG_MAP, config_map("k2"))]);
    let ring = load_from(&api, SourceKind::Secret).await.expect("a ring");
    assert_eq!(ring.newest().id(), "k1");
    assert!(ring.get("k2").is_some());
    api.finish().await;

    let api = Api::expecting([(GET, secret("k1", 32)), (GET_CONFIG_MAP, missing())]);
    assert!(load_from(&api, SourceKind::Secret).await.is_ok());
    api.finish().await;
}
