//! What makes no sense in a policy: where, what the API server has to say, and each value that it has
//! to say it about. `coverage` tells which rule of the definitions has no row here.

use serde_json::{Map, Value, json};

/// A JSON pointer into the spec, the complaint, and an array of values of which each is tried.
pub type Row = (String, &'static str, Value);

const NOT_A_KIND: &str = "supported values: \"ConfigMap\", \"Secret\"";
const NOT_A_STRATEGY: &str = "supported values: \"Auto\", \"Restart\", \"InPlace\", \"Ignore\"";
const NOT_BOOLEAN: &str = "must be of type boolean";
const NOT_THE_SHAPE: &str = "should match";
const EMPTY: &str = "should be at least 1 chars long";
const TOO_LONG: &str = "Too long";
const MORE_THAN_16: &str = "must have at most 16 items";
const MORE_THAN_32: &str = "must have at most 32 items";
const MORE_THAN_64: &str = "must have at most 64 items";

fn times(count: usize, value: Value) -> Value {
    json!([vec![value; count]])
}

fn longer_than(length: usize) -> Value {
    json!(["a".repeat(length + 1)])
}

/// The rows of one field.
fn field(at: &str, rows: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<Row> {
    let rows = rows.into_iter();
    rows.map(|(said, values)| (at.to_owned(), said, values)).collect()
}

/// All that a namespaced policy can say.
pub fn rows() -> Vec<Row> {
    [of_policy(), of_workloads(), of_sources(), of_rules()]
        .into_iter()
        .chain([of_in_place(), of_agent(), of_notify_http(), of_restart()])
        .chain(["windows", "freezes"].map(|windows| of_windows(&format!("/restart/{windows}"))))
        .chain(["/workloads/selector", "/restart/waves/0/selector"].map(of_selector))
        .flatten()
        .collect()
}

/// What only a policy of the cluster can say, and some of what it shares.
pub fn rows_of_cluster() -> Vec<Row> {
    let mut rows = of_selector("/workloads/namespaceSelector");
    rows.push((
        "/restart/settle".to_owned(),
        "settle must be from 0s to 1h",
        json!(["2h"]),
    ));
    rows
}

fn of_policy() -> Vec<Row> {
    [
        field(
            "/priority",
            [
                ("less than or equal to 1000", json!([1001])),
                ("greater than or equal to -1000", json!([-1001])),
                ("must be of type integer", json!(["high"])),
            ],
        ),
        field("/strategy", [(NOT_A_STRATEGY, json!(["Reload", "auto", ""]))]),
        field(
            "/mode",
            [("supported values: \"Enforce\", \"Observe\"", json!(["DryRun"]))],
        ),
        field("/suspend", [(NOT_BOOLEAN, json!(["true"]))]),
    ]
    .concat()
}

fn of_workloads() -> Vec<Row> {
    let kind = [
        (NOT_THE_SHAPE, json!(["deployment", "apps/Deployment"])),
        (EMPTY, json!([""])),
        (TOO_LONG, json!(["A".repeat(64)])),
    ];
    [
        field("/workloads/kinds/0", kind),
        field("/workloads/kinds", [(MORE_THAN_16, times(17, json!("Deployment")))]),
    ]
    .concat()
}

fn of_selector(at: &str) -> Vec<Row> {
    const VALUES: &str = "values must be given with the operators In and NotIn, and only with these";
    const OPERATORS: &str = "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"";
    let long = "a".repeat(64);
    let many: Map<_, _> = (0..33).map(|n| (format!("key-{n}"), json!("x"))).collect();
    let badly_valued = json!([
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "NotIn", "values": []},
        {"key": "a", "operator": "Exists", "values": ["x"]},
        {"key": "a", "operator": "DoesNotExist", "values": ["x"]},
    ]);
    let bad_keys = json!([
        {"a b": "x"}, {"-a": "x"}, {"A.example/a": "x"}, {"a/b/c": "x"}, {"/a": "x"}, {"": "x"}, {&long: "x"},
    ]);
    let labels = [
        ("matchLabels must have keys of labels", bad_keys),
        (MORE_THAN_32, json!([many])),
    ];
    let value = || {
        [
            (NOT_THE_SHAPE, json!(["a b", "-a", "a/b"])),
            (TOO_LONG, longer_than(63)),
        ]
    };
    let expressions = [(MORE_THAN_32, times(33, json!({"key": "a", "operator": "Exists"})))];
    let key = [
        ("key must be the key of a label", json!(["a b", "", &long])),
        (NOT_THE_SHAPE, json!(["a b"])),
        (TOO_LONG, longer_than(317)),
    ];
    let one = format!("{at}/matchExpressions/0");
    [
        field(&format!("{at}/matchLabels"), labels),
        field(&format!("{at}/matchLabels/tier"), value()),
        field(&format!("{at}/matchExpressions"), expressions),
        field(&one, [(VALUES, badly_valued)]),
        field(&format!("{one}/key"), key),
        field(&format!("{one}/operator"), [(OPERATORS, json!(["in", "Equals"]))]),
        field(&format!("{one}/values"), [(MORE_THAN_32, times(33, json!("x")))]),
        field(&format!("{one}/values/0"), value()),
    ]
    .concat()
}

fn name_of_source(at: &str) -> Vec<Row> {
    let name = [
        (NOT_THE_SHAPE, json!(["Web", "shop/web", "web,db", "web_*"])),
        (EMPTY, json!([""])),
        (TOO_LONG, longer_than(253)),
    ];
    field(at, name)
}

fn of_sources() -> Vec<Row> {
    let one = json!({"kind": "ConfigMap", "name": "web"});
    let wild = |bytes: usize| json!({"kind": "Secret", "name": "*".repeat(bytes)});
    let across = json!([{"include": vec![wild(64); 22], "exclude": vec![wild(64); 22], "extra": vec![wild(64); 21]}]);
    let together = field("/sources", [("at most 4096 bytes of names with wildcards", across)]);
    let lists = ["include", "exclude", "extra"].map(|list| {
        let at = format!("/sources/{list}");
        [
            field(&at, [(MORE_THAN_64, times(65, one.clone()))]),
            field(
                &format!("{at}/0/kind"),
                [(NOT_A_KIND, json!(["Configmap", "configmaps"]))],
            ),
            name_of_source(&format!("{at}/0/name")),
        ]
        .concat()
    });
    lists.concat().into_iter().chain(together).collect()
}

fn of_rules() -> Vec<Row> {
    let keys = [
        ("should have at least 1 items", json!([[]])),
        (MORE_THAN_64, times(65, json!("a"))),
    ];
    let key = [
        (NOT_THE_SHAPE, json!(["a b", "a/b"])),
        (EMPTY, json!([""])),
        (TOO_LONG, longer_than(253)),
    ];
    let one = json!({"keys": ["a"], "strategy": "Ignore"});
    let rules = |count: usize, key: &str| {
        let rule = json!({"keys": vec![key; count], "strategy": "Ignore"});
        json!([vec![rule; count]])
    };
    let long = [
        (MORE_THAN_64, times(65, one)),
        ("at most 16384 bytes of names and keys", rules(16, &"a".repeat(64))),
        (
            "at most 4096 bytes of names and keys with wildcards",
            rules(16, &"*".repeat(16)),
        ),
        (
            "at most 4096 bytes of names and keys with wildcards",
            rules(64, &"*".repeat(126)),
        ),
    ];
    [
        field("/rules", long),
        field("/rules/0/kind", [(NOT_A_KIND, json!(["Pod"]))]),
        name_of_source("/rules/0/name"),
        field("/rules/0/keys", keys),
        field("/rules/0/keys/0", key),
        field("/rules/0/strategy", [(NOT_A_STRATEGY, json!(["Never"]))]),
    ]
    .concat()
}

/// A duration: what it must be, and values of the right shape that are out of bounds.
fn duration(at: &str, said: &'static str, out_of_bounds: Value) -> Vec<Row> {
    let no_durations = json!(["-2s", "2", "2 s", "2d", "1.5s", "", "PT2S", "+2s", "1e3s", "2s,3s"]);
    let rows = [
        (NOT_THE_SHAPE, no_durations.clone()),
        (said, no_durations),
        (said, out_of_bounds),
        (TOO_LONG, json!(["1h".repeat(15)])),
        ("must be of type string", json!([2])),
    ];
    field(at, rows)
}

fn port(at: &str) -> Vec<Row> {
    let bounds = [
        ("greater than or equal to 1", json!([0])),
        ("less than or equal to 65535", json!([65536])),
    ];
    field(at, bounds)
}

fn of_in_place() -> Vec<Row> {
    let both = json!([{
        "agent": {"port": 9533, "tokenSecretRef": {"name": "windlass-agent"}},
        "notifyHttp": {"port": 8080, "path": "/-/reload"},
    }]);
    let on_timeout = "supported values: \"Report\", \"Restart\"";
    [
        field("/inPlace", [("set either inPlace.agent or inPlace.notifyHttp", both)]),
        field("/inPlace/nudge", [(NOT_BOOLEAN, json!(["yes"]))]),
        duration(
            "/inPlace/timeout",
            "timeout must be from 1s to 1h",
            json!(["0s", "999ms", "61m"]),
        ),
        field("/inPlace/onTimeout", [(on_timeout, json!(["Ignore"]))]),
    ]
    .concat()
}

fn of_agent() -> Vec<Row> {
    let name = [
        (NOT_THE_SHAPE, json!(["Token", "a*", "-a"])),
        (EMPTY, json!([""])),
        (TOO_LONG, longer_than(253)),
    ];
    [
        port("/inPlace/agent/port"),
        field("/inPlace/agent/tokenSecretRef/name", name),
    ]
    .concat()
}

fn of_notify_http() -> Vec<Row> {
    let path = [
        (
            NOT_THE_SHAPE,
            json!(["-/reload", "http://web/", "/a b", "/a\r\nHost: b", "/ä"]),
        ),
        (EMPTY, json!([""])),
        (TOO_LONG, json!([format!("/{}", "a".repeat(256))])),
    ];
    let methods = "supported values: \"POST\", \"PUT\", \"GET\"";
    [
        port("/inPlace/notifyHttp/port"),
        field("/inPlace/notifyHttp/path", path),
        field("/inPlace/notifyHttp/method", [(methods, json!(["post", "DELETE", ""]))]),
        duration(
            "/inPlace/notifyHttp/delay",
            "delay must be from 0s to 10m",
            json!(["10m1ms", "1h"]),
        ),
    ]
    .concat()
}

fn of_restart() -> Vec<Row> {
    let max_parallel = [
        ("greater than or equal to 1", json!([0, -1])),
        ("less than or equal to 10000", json!([10001])),
        ("must be of type int", json!([1.5, "10"])),
    ];
    [
        duration(
            "/restart/settle",
            "settle must be from 0s to 1h",
            json!(["60m1ms", "99999h99999h99999h99999h"]),
        ),
        duration(
            "/restart/minInterval",
            "minInterval must be from 0s to 168h",
            json!(["168h1ms"]),
        ),
        duration(
            "/restart/deadline",
            "deadline must be from 1s to 24h",
            json!(["999ms", "24h1s"]),
        ),
        field("/restart/maxParallel", max_parallel),
        field("/restart/haltOnFailure", [(NOT_BOOLEAN, json!([1]))]),
        field("/restart/waves", [(MORE_THAN_16, times(17, json!({"selector": {}})))]),
    ]
    .concat()
}

fn of_windows(at: &str) -> Vec<Row> {
    let one = json!({"schedule": "0 2 * * *", "duration": "1h"});
    let no_schedules = json!([
        "",
        "0 2 * *",
        "0 22 10 10",
        "0 2 * * 1-5 2027",
        "@midnight",
        "every christmas",
        "0 2 * * 1-5;",
        "0 2 ? * 1#2",
        " 0 2 * * 1",
        "0\n2\n*\n*\n1",
    ]);
    let schedule = [
        ("schedule must be a cron line of five fields", no_schedules.clone()),
        (NOT_THE_SHAPE, no_schedules),
        (TOO_LONG, json!([format!("0 2 * * {}", "1,".repeat(64))])),
    ];
    let no_zones = json!(["Europe Berlin", "+01:00", "", "../etc/passwd"]);
    let zone = [
        (
            "timeZone must be UTC or a name of the IANA time zone database",
            no_zones.clone(),
        ),
        (NOT_THE_SHAPE, no_zones),
        (TOO_LONG, json!(["A".repeat(65)])),
    ];
    [
        field(at, [(MORE_THAN_32, times(33, one))]),
        field(&format!("{at}/0/schedule"), schedule),
        duration(
            &format!("{at}/0/duration"),
            "duration must be from 1m to 8784h",
            json!(["59s", "0s", "8784h1s"]),
        ),
        field(&format!("{at}/0/timeZone"), zone),
    ]
    .concat()
}

/// What has to be there.
pub const REQUIRED: &[&str] = &[
    "/workloads/selector",
    "/workloads/selector/matchExpressions/0/key",
    "/workloads/selector/matchExpressions/0/operator",
    "/sources/include/0/kind",
    "/sources/include/0/name",
    "/sources/exclude/0/kind",
    "/sources/exclude/0/name",
    "/sources/extra/0/kind",
    "/sources/extra/0/name",
    "/rules/0/keys",
    "/rules/0/strategy",
    "/inPlace/agent/port",
    "/inPlace/agent/tokenSecretRef",
    "/inPlace/agent/tokenSecretRef/name",
    "/inPlace/notifyHttp/port",
    "/inPlace/notifyHttp/path",
    "/restart/windows/0/schedule",
    "/restart/windows/0/duration",
    "/restart/freezes/0/schedule",
    "/restart/freezes/0/duration",
    "/restart/waves/0/selector",
    "/restart/waves/0/selector/matchExpressions/0/key",
    "/restart/waves/0/selector/matchExpressions/0/operator",
];

/// And in a policy of the cluster besides.
pub const REQUIRED_OF_CLUSTER: &[&str] = &[
    "/workloads",
    "/workloads/namespaceSelector/matchExpressions/0/key",
    "/workloads/namespaceSelector/matchExpressions/0/operator",
];
