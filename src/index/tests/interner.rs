//! Texts that are the same are one, whichever came first, and stay so however often what has them is seen.

use super::*;

fn is_one(this: &str, other: &str) {
    assert_eq!(this, other);
    assert!(std::ptr::eq(this, other), "{this} is kept twice");
}

fn source<'a>(fed: &'a Fed, name: &str) -> &'a Source {
    let reference = config_map(name, "u", 1, &[]).reference;
    fed.index.sources.get(&reference).expect("it is known").source()
}

#[test]
fn a_sources_name_is_that_of_its_users() {
    let mut fed = Fed::new();
    fed.see(config_map("first", "u", 5, &[("a", "1")]));
    fed.workload(deployment("web", "1", 6, Value::Null, env("first", "a")));
    fed.workload(deployment("api", "2", 7, Value::Null, env("second", "a")));
    fed.see(config_map("second", "u", 8, &[("a", "1")]));
    for _ in 0..2 {
        for (user, used) in [("web", "first"), ("api", "second")] {
            let name = source(&fed, used).reference.name.as_str();
            is_one(name, fed.entry(user).uses()[0].name.as_str());
            is_one(name, fed.entry(user).workload().uses[0].name.as_str());
        }
        is_one(
            fed.entry("web").workload().reference.namespace.as_str(),
            source(&fed, "second").reference.namespace.as_str(),
        );
        fed.see(config_map("first", "u", 15, &[("a", "2")]));
        fed.workload(deployment("api", "2", 17, Value::Null, env("second", "a")));
    }
}

#[test]
fn a_workloads_name_is_that_of_its_place() {
    let mut fed = Fed::new();
    for version in [6, 7] {
        fed.workload(deployment("web", "1", version, Value::Null, env("first", "a")));
        let (place, entry) = fed.index.workloads().next().expect("one");
        is_one(place.name.as_str(), entry.workload().reference.name.as_str());
    }
}

/// Those that nobody asks for any more do not keep others from being shared.
#[test]
fn what_many_ask_for_is_kept_once_whatever_others_asked_for_before() {
    let mut fed = Fed::new();
    let asking = |name: &str, strategy: &str, list: &str| {
        let annotations =
            json!({ "windlass.dev/enabled": "true", "windlass.dev/strategy": strategy, "windlass.dev/secrets": list });
        let object = json!({
            "metadata": { "name": name, "namespace": "shop", "uid": name, "resourceVersion": "6", "annotations": annotations },
            "spec": { "template": {} },
        });
        serde_json::from_str::<WatchedWorkload>(&object.to_string())
            .expect("it decodes")
            .workload(
                DEPLOYMENT,
                windlass_core::workload::opt_in::AnnotationOptions::default(),
            )
    };
    for at in 0..100 {
        let odd = format!("odd-{at}");
        fed.workload(asking(&odd, "Auto", &odd));
        fed.index.forget(&reference(&odd));
    }
    fed.workload(asking("web", "Ignore", ""));
    fed.workload(asking("api", "Ignore", ""));
    let asked = |name: &str| {
        fed.entry(name)
            .workload()
            .opt_in
            .clone()
            .expect("valid")
            .expect("it asks")
    };
    assert!(Arc::ptr_eq(&asked("web"), &asked("api")));
    assert!(fed.index.known_opt_ins.len() <= SHARED_OPT_INS);
}
