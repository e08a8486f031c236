use super::*;
use crate::k8s::mock::{Answer as Http, Api};

const SOON: Duration = Duration::from_secs(5);

fn lease() -> Lease {
    Lease::new("ops", "windlass")
}

fn object(version: &str) -> Value {
    json!({
        "metadata": { "name": "windlass", "resourceVersion": version },
        "spec": {
            "holderIdentity": "one",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-21T10:00:00.000000Z",
            "renewTime": "2026-11-21T10:00:02.500000Z",
            "leaseTransitions": 3,
        },
    })
}

fn record() -> Record {
    let time = |text: &str| text.parse().expect("a time");
    Record {
        holder: Holder::new("one"),
        duration: Some(Duration::from_secs(15)),
        acquired: Some(time("2026-11-21T10:00:00Z")),
        renewed: Some(time("2026-11-21T10:00:02.5Z")),
        transitions: 3,
    }
}

#[tokio::test]
async fn what_is_written_is_what_is_read() {
    let api = Api::expecting([
        (
            "GET /apis/coordination.k8s.io/v1/namespaces/ops/leases/windlass",
            Http::ok(object("7")),
        ),
        (
            "PATCH /apis/coordination.k8s.io/v1/namespaces/ops/leases/windlass?&fieldManager=windlass",
            Http::ok(object("8")),
        ),
    ]);
    let read = lease().call(&api.client(), &Call::Read, SOON).await;
    assert_eq!(read, Ok(Answer::Read(Some((record(), Version::new(7))))));
    let update = Call::Update(record(), Version::new(7));
    let written = lease().call(&api.client(), &update, SOON).await;
    assert_eq!(written, Ok(Answer::Written(Version::new(8))));
    let bodies = api.finish().await;
    assert_eq!(bodies[1]["metadata"], json!({ "resourceVersion": "7" }));
    assert_eq!(bodies[1]["spec"], object("7")["spec"]);
}

#[tokio::test]
async fn a_lease_without_a_holder_was_released_and_one_that_is_missing_is_created() {
    let missing = Http {
        code: 404,
        body: json!({ "message": "not found" }),
    };
    let free = json!({ "metadata": { "resourceVersion": "3" }, "spec": { "holderIdentity": "" } });
    let api = Api::expecting([
        (
            "GET /apis/coordination.k8s.io/v1/namespaces/ops/leases/windlass",
            Http::ok(free),
        ),
        (
            "GET /apis/coordination.k8s.io/v1/namespaces/ops/leases/windlass",
            missing,
        ),
        (
            "POST /apis/coordination.k8s.io/v1/namespaces/ops/leases?&fieldManager=windlass",
            Http {
                code: 201,
                body: object("9"),
            },
        ),
    ]);
    let Ok(Answer::Read(Some((read, _)))) = lease().call(&api.client(), &Call::Read, SOON).await else {
        panic!("it is read")
    };
    assert_eq!((read.holder, read.transitions), (None, 0));
    assert_eq!(
        lease().call(&api.client(), &Call::Read, SOON).await,
        Ok(Answer::Read(None))
    );
    let released = Record {
        holder: None,
        ..record()
    };
    let created = lease().call(&api.client(), &Call::Create(released), SOON).await;
    assert_eq!(created, Ok(Answer::Written(Version::new(9))));
    let bodies = api.finish().await;
    assert_eq!(bodies[2]["spec"]["holderIdentity"], "");
}

#[test]
fn only_a_version_or_a_name_that_stands_against_it_says_that_nothing_was_written() {
    assert_eq!(answer(Err(ApiError::Conflict)), Answer::Conflict);
    assert_eq!(answer(Err(ApiError::NotFound)), Answer::Conflict);
    for error in [
        ApiError::Unavailable("no answer".into()),
        ApiError::Forbidden("a right".into()),
        ApiError::Unexpected("no JSON"),
    ] {
        assert_eq!(answer(Err(error.clone())), Answer::Failed, "{error:?}");
    }
}
