//! What makes no sense in a policy: where, what the API server has to say, and each value that it has
//! to say it about.

use serde_json::{Map, Value, json};

/// A JSON pointer into the spec, the complaint, and an array of values of which each is tried.
pub type Row = (&'static str, &'static str, Value);

const NOT_A_KIND: &str = "supported values: \"ConfigMap\", \"Secret\"";
const NOT_A_STRATEGY: &str = "supported values: \"Auto\", \"Restart\", \"InPlace\", \"Ignore\"";
const NOT_BOOLEAN: &str = "must be of type boolean";
const NOT_THE_SHAPE: &str = "should match";
const EMPTY: &str = "should be at least 1 chars long";
const MORE_THAN_16: &str = "must have at most 16 items";
const MORE_THAN_32: &str = "must have at most 32 items";
const MORE_THAN_64: &str = "must have at most 64 items";

fn times(count: usize, value: Value) -> Value {
    json!([vec![value; count]])
}

/// All of it.
pub fn rows() -> Vec<Row> {
    [of_policy(), of_workloads(), of_selectors(), of_sources(), of_rules()]
        .into_iter()
        .chain([of_in_place(), of_restart(), of_windows()])
        .flatten()
        .collect()
}

fn of_policy() -> Vec<Row> {
    vec![
        ("/priority", "less than or equal to 1000", json!([1001])),
        ("/priority", "greater than or equal to -1000", json!([-1001])),
        ("/priority", "must be of type integer", json!(["high"])),
        ("/strategy", NOT_A_STRATEGY, json!(["Reload", "auto", ""])),
        ("/mode", "supported values: \"Enforce\", \"Observe\"", json!(["DryRun"])),
        ("/suspend", NOT_BOOLEAN, json!(["true"])),
    ]
}

fn of_workloads() -> Vec<Row> {
    vec![
        (
            "/workloads/kinds/0",
            NOT_THE_SHAPE,
            json!(["deployment", "apps/Deployment"]),
        ),
        ("/workloads/kinds/0", EMPTY, json!([""])),
        ("/workloads/kinds", MORE_THAN_16, times(17, json!("Deployment"))),
    ]
}

fn of_selectors() -> Vec<Row> {
    const LABELS: &str = "/workloads/selector/matchLabels";
    const EXPRESSIONS: &str = "/workloads/selector/matchExpressions";
    const EXPRESSION: &str = "/workloads/selector/matchExpressions/0";
    const VALUES: &str = "values must be given with the operators In and NotIn, and only with these";
    let long = "a".repeat(64);
    let many: Map<_, _> = (0..33).map(|n| (format!("key-{n}"), json!("x"))).collect();
    let operators = "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"";
    let badly_valued = json!([
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "NotIn", "values": []},
        {"key": "a", "operator": "Exists", "values": ["x"]},
        {"key": "a", "operator": "DoesNotExist", "values": ["x"]},
    ]);
    let bad_keys = json!([
        {"a b": "x"}, {"-a": "x"}, {"A.example/a": "x"}, {"a/b/c": "x"}, {"/a": "x"}, {"": "x"}, {&long: "x"},
    ]);
    vec![
        (
            LABELS,
            NOT_THE_SHAPE,
            json!([{"app": "a b"}, {"app": "-a"}, {"app": "a/b"}]),
        ),
        (LABELS, "Too long", json!([{"app": &long}])),
        (LABELS, "matchLabels must have keys of labels", bad_keys),
        (LABELS, MORE_THAN_32, json!([many])),
        (EXPRESSION, VALUES, badly_valued.clone()),
        (
            "/workloads/selector/matchExpressions/0/operator",
            operators,
            json!(["in", "Equals"]),
        ),
        (
            "/workloads/selector/matchExpressions/0/key",
            "key must be the key of a label",
            json!(["a b", "", &long]),
        ),
        (
            "/workloads/selector/matchExpressions/0/values/0",
            NOT_THE_SHAPE,
            json!(["a b"]),
        ),
        (
            "/workloads/selector/matchExpressions/0/values",
            MORE_THAN_32,
            times(33, json!("x")),
        ),
        (
            EXPRESSIONS,
            MORE_THAN_32,
            times(33, json!({"key": "a", "operator": "Exists"})),
        ),
        ("/restart/waves/0/selector/matchExpressions/0", VALUES, badly_valued),
    ]
}

fn of_sources() -> Vec<Row> {
    let one = json!({"kind": "ConfigMap", "name": "web"});
    vec![
        (
            "/sources/include/0/kind",
            NOT_A_KIND,
            json!(["Configmap", "configmaps"]),
        ),
        (
            "/sources/include/0/name",
            NOT_THE_SHAPE,
            json!(["Web", "shop/web", "web,db"]),
        ),
        ("/sources/exclude/0/name", EMPTY, json!([""])),
        ("/sources/extra/0/name", "Too long", json!(["a".repeat(254)])),
        ("/sources/include", MORE_THAN_64, times(65, one.clone())),
        ("/sources/exclude", MORE_THAN_64, times(65, one.clone())),
        ("/sources/extra", MORE_THAN_64, times(65, one)),
    ]
}

fn of_rules() -> Vec<Row> {
    vec![
        ("/rules/0/kind", NOT_A_KIND, json!(["Pod"])),
        ("/rules/0/name", NOT_THE_SHAPE, json!(["web_*"])),
        ("/rules/0/keys", "should have at least 1 items", json!([[]])),
        ("/rules/0/keys", MORE_THAN_64, times(65, json!("a"))),
        ("/rules/0/keys/0", NOT_THE_SHAPE, json!(["a b", "a/b"])),
        ("/rules/0/keys/0", EMPTY, json!([""])),
        ("/rules/0/strategy", NOT_A_STRATEGY, json!(["Never"])),
        (
            "/rules",
            MORE_THAN_64,
            times(65, json!({"keys": ["a"], "strategy": "Ignore"})),
        ),
    ]
}

fn of_in_place() -> Vec<Row> {
    let on_timeout = "supported values: \"Report\", \"Restart\"";
    vec![
        ("/inPlace/nudge", NOT_BOOLEAN, json!(["yes"])),
        ("/inPlace/agent/port", "greater than or equal to 1", json!([0])),
        ("/inPlace/agent/port", "less than or equal to 65535", json!([65536])),
        (
            "/inPlace/agent/tokenSecretRef/name",
            NOT_THE_SHAPE,
            json!(["Token", "a*"]),
        ),
        (
            "/inPlace/timeout",
            "timeout must be from 1s to 1h",
            json!(["0s", "999ms", "61m"]),
        ),
        ("/inPlace/onTimeout", on_timeout, json!(["Ignore"])),
    ]
}

fn of_restart() -> Vec<Row> {
    let no_durations = json!(["-2s", "2", "2 s", "2d", "1.5s", "", "PT2S", "+2s", "1e3s", "2s,3s"]);
    let settle = "settle must be from 0s to 1h";
    vec![
        ("/restart/settle", settle, no_durations),
        ("/restart/settle", settle, json!(["60m1ms", "99999h99999h99999h99999h"])),
        ("/restart/settle", "must be of type string", json!([2])),
        (
            "/restart/minInterval",
            "minInterval must be from 0s to 168h",
            json!(["168h1ms", "-1s"]),
        ),
        (
            "/restart/deadline",
            "deadline must be from 1s to 24h",
            json!(["999ms", "24h1s"]),
        ),
        ("/restart/maxParallel", "greater than or equal to 1", json!([0, -1])),
        ("/restart/maxParallel", "less than or equal to 10000", json!([10001])),
        ("/restart/maxParallel", "must be of type int", json!([1.5, "10"])),
        ("/restart/haltOnFailure", NOT_BOOLEAN, json!([1])),
        ("/restart/waves", MORE_THAN_16, times(17, json!({"selector": {}}))),
    ]
}

fn of_windows() -> Vec<Row> {
    let one = json!({"schedule": "0 2 * * *", "duration": "1h"});
    let schedule = "schedule must be a cron line of five fields";
    let no_schedules = json!([
        "",
        "0 2 * *",
        "0 22 10 10",
        "0 2 * * 1-5 2027",
        "@midnight",
        "0 2 * * 1-5;",
        "0 2 ? * 1#2",
        " 0 2 * * 1",
        "0\n2\n*\n*\n1",
    ]);
    let too_long = format!("0 2 * * {}", "1,".repeat(64));
    let zone = "timeZone must be UTC or a name of the IANA time zone database";
    let duration = "duration must be from 1m to 8784h";
    vec![
        ("/restart/windows/0/schedule", schedule, no_schedules),
        ("/restart/freezes/0/schedule", schedule, json!(["every christmas"])),
        ("/restart/windows/0/schedule", "Too long", json!([too_long])),
        ("/restart/windows/0/duration", duration, json!(["59s", "0s"])),
        ("/restart/freezes/0/duration", duration, json!(["8784h1s", "1w"])),
        (
            "/restart/windows/0/timeZone",
            zone,
            json!(["Europe Berlin", "+01:00", "", "../etc/passwd"]),
        ),
        ("/restart/freezes/0/timeZone", "Too long", json!(["A".repeat(65)])),
        ("/restart/windows", MORE_THAN_32, times(33, one.clone())),
        ("/restart/freezes", MORE_THAN_32, times(33, one)),
    ]
}

/// What only a policy of the cluster can say, and some of what it shares.
pub fn rows_of_cluster() -> Vec<Row> {
    let valueless = json!([[{"key": "a", "operator": "In"}]]);
    vec![
        (
            "/workloads/namespaceSelector/matchExpressions",
            "values must be given",
            valueless,
        ),
        (
            "/workloads/selector/matchLabels",
            "matchLabels must have keys of labels",
            json!([{"a b": "x"}]),
        ),
        ("/restart/settle", "settle must be from 0s to 1h", json!(["2h"])),
    ]
}

/// What has to be there.
pub const REQUIRED: &[&str] = &[
    "/workloads/selector",
    "/workloads/selector/matchExpressions/0/key",
    "/workloads/selector/matchExpressions/0/operator",
    "/sources/include/0/kind",
    "/sources/include/0/name",
    "/rules/0/keys",
    "/rules/0/strategy",
    "/inPlace/agent/port",
    "/inPlace/agent/tokenSecretRef",
    "/inPlace/agent/tokenSecretRef/name",
    "/restart/windows/0/schedule",
    "/restart/windows/0/duration",
    "/restart/freezes/0/schedule",
    "/restart/waves/0/selector",
];
