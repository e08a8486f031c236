//! What is in other namespaces: named by a workload, or taken up and let go.

use windlass_core::compat::Compat;

use super::*;

fn shared(version: u64, value: &str, allow_from: Option<&str>) -> Source {
    let mut object = json!({
        "metadata": { "name": "common", "namespace": "platform", "uid": "c", "resourceVersion": version.to_string() },
        "data": { "level": value },
    });
    if let Some(allow_from) = allow_from {
        object["metadata"]["annotations"] = json!({ "windlass.dev/allow-from": allow_from });
    }
    serde_json::from_str::<WatchedConfigMap>(&object.to_string())
        .expect("it decodes")
        .source
}

/// An index with a workload in `shop` that names `platform/common`.
fn across() -> Fed {
    let mut fed = Fed::new();
    fed.index.settings.annotation_options.cross_namespace = true;
    let annotations = json!({
        "windlass.dev/enabled": "true",
        "windlass.dev/configmaps": "platform/common",
    });
    let object = json!({
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "6", "annotations": annotations,
        },
        "spec": { "template": {} },
    });
    let workload = serde_json::from_str::<WatchedWorkload>(&object.to_string())
        .expect("it decodes")
        .workload(DEPLOYMENT, fed.index.settings.annotation_options);
    fed.workload(workload);
    fed
}

#[test]
fn a_source_of_another_namespace_counts_with_its_consent_only() {
    let mut fed = across();
    let named = |fed: &Fed| {
        let counted = fed.index.counted_sources(fed.entry("web"));
        (counted.uses.len(), counted.not_shared.len())
    };
    assert_eq!(named(&fed), (0, 1), "it is not there");
    fed.see(shared(7, "A", None));
    assert_eq!(named(&fed), (0, 1), "it says nothing of other namespaces");
    fed.see(shared(8, "A", Some("warehouse, shop-2")));
    assert_eq!(named(&fed), (0, 1), "it allows others");
    assert!(fed.see(shared(9, "B", Some("warehouse"))).is_empty());

    let effect = fed.see(shared(10, "B", Some("shop")));
    assert_eq!(effect, ["web"], "it is to be looked at again");
    assert!(fed.change_keys("web").is_empty(), "and nothing changed for it");
    assert_eq!(named(&fed), (1, 0));
    assert_eq!(fed.see(shared(11, "C", Some("shop"))), ["web"]);
    assert_eq!(fed.change_keys("web"), ["level"]);

    assert_eq!(fed.see(shared(12, "C", None)), ["web"]);
    assert_eq!(named(&fed), (0, 1), "consent can be withdrawn");
}

#[test]
fn without_the_flag_consent_is_worth_nothing() {
    let mut fed = across();
    fed.see(shared(7, "A", Some("shop")));
    fed.index.settings.annotation_options.cross_namespace = false;
    assert_eq!(fed.index.counted_sources(fed.entry("web")).uses.len(), 0);
}

#[test]
fn without_the_flag_consent_is_not_even_kept() {
    for (flag, kept) in [(true, true), (false, false)] {
        let mut fed = across();
        fed.index.settings.annotation_options.cross_namespace = flag;
        for allowed in ["shop", "shop,bank"] {
            let source = shared(allowed.len() as u64, "A", Some(allowed));
            let reference = source.reference.clone();
            fed.see(source);
            assert_eq!(fed.index.sources[&reference].source().annotations.is_some(), kept);
        }
    }
}

#[test]
fn a_namespace_is_taken_up_in_two_steps() {
    let mut fed = Fed::new();
    fed.index.enable_namespace_selector();
    let shop = Namespace::from("shop");
    let workload = || deployment("web", "1", 6, Value::Null, env("web", "a"));
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    assert!(!fed.workload(workload()));
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 0);

    assert!(fed.index.select_namespace(&shop, SelectionStage::Sources));
    assert!(
        !fed.index.select_namespace(&shop, SelectionStage::Sources),
        "it is known"
    );
    let begun = fed.index.source_lists_begun();
    assert!(!fed.index.have_listed_since(&begun));
    fed.list_sources(&[config_map("web", "u", 5, &[("a", "1")])]);
    assert!(fed.index.have_listed_since(&begun));
    assert!(!fed.workload(workload()), "its workloads come later");
    fed.index.select_namespace(&shop, SelectionStage::Workloads);
    assert!(fed.workload(workload()));
}

#[test]
fn a_namespace_that_is_let_go_leaves_nothing() {
    let mut fed = Fed::new();
    fed.index.enable_namespace_selector();
    let shop = Namespace::from("shop");
    for stage in [SelectionStage::Sources, SelectionStage::Workloads] {
        fed.index.select_namespace(&shop, stage);
    }
    fed.see(config_map("web", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    fed.index.deselect_namespace(&shop);
    assert_eq!(fed.index.workloads().count(), 0);
    assert_eq!(fed.index.source_count(SourceKind::ConfigMap), 0);
    assert!(fed.index.selected_namespaces().is_empty());
    assert!(fed.see(config_map("web", "u", 9, &[("a", "2")])).is_empty());
}

#[test]
fn what_is_listed_late_may_have_been_anything_before() {
    let mut fed = Fed::new();
    fed.list_sources(&[config_map("web", "u", 5, &[("a", "1")])]);
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    let counted = fed.index.counted_sources(fed.entry("web"));
    let views = fed.index.views(&counted, Version::default());
    assert_eq!(views[0].unseen_since, Some(Second::new(0)));
}

#[test]
fn reloaders_marks_on_a_source_count_where_we_stand_in_for_it() {
    let object = |annotation: &str, version: u64| {
        let object = json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": version.to_string(),
                "annotations": { annotation: "true" },
            },
            "data": { "a": "1" },
        });
        serde_json::from_str::<WatchedConfigMap>(&object.to_string())
            .expect("it decodes")
            .source
    };
    let mut fed = Fed::new();
    fed.see(object("reloader.stakater.com/ignore", 5));
    fed.workload(deployment("web", "1", 6, Value::Null, env("web", "a")));
    let views = |fed: &Fed| {
        let counted = fed.index.counted_sources(fed.entry("web"));
        fed.index.views(&counted, Version::default()).len()
    };
    assert_eq!(views(&fed), 1);
    fed.index.settings.annotation_options.compat = Compat {
        reloader: true,
        ..Compat::default()
    };
    assert_eq!(views(&fed), 0);
    assert_eq!(fed.see(object("other", 9)), ["web"], "it begins to count");
    assert!(fed.change_keys("web").is_empty());
}
