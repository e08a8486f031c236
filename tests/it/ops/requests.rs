//! What a change costs the API server.

use crate::support::{
    Test,
    build::{deployment, env},
    tests,
};

tests! {
    a_change_costs_one_patch_and_at_most_one_event: embedded;
}

const CHANGES: usize = 5;

async fn a_change_costs_one_patch_and_at_most_one_event(t: &Test) {
    for number in 0..CHANGES {
        let name = format!("web-{number}");
        t.config(&name, &[("level", "A"), ("unused", "A")]).await;
        t.deploy(deployment(&name).uses(env(&name, "level"))).await;
    }
    t.start_and_adopt(&[]).await;
    t.everything_before_is_done().await;
    // Events come behind; those of the adoption are not to be counted.
    assert_eq!(t.event_count("web-0", "Adopted").await, 1);
    t.complete("marker-1").await;
    t.complete("marker-2").await;
    t.state("Current", 7).await;
    let audit = t.audit("windlass");

    for number in 0..CHANGES {
        let name = format!("web-{number}");
        t.config(&name, &[("level", "A"), ("unused", "B")]).await;
        t.config(&name, &[("level", "B"), ("unused", "B")]).await;
        t.await_template_changes(&name, 1).await;
    }
    for number in 0..CHANGES {
        t.complete(&format!("web-{number}")).await;
        t.event(&format!("web-{number}"), "Restarted").await;
    }
    // Until the controller has seen the ends of these rollouts, and a little longer: nothing that
    // it does by the clock may cost a request either.
    t.state("Current", 7).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;

    let requests = audit.requests();
    let of = |verb: &str, resource: &str| {
        requests
            .iter()
            .filter(|it| it.verb == verb && it.resource == resource)
            .count()
    };
    assert_eq!(of("patch", "deployments"), CHANGES, "{requests:#?}");
    assert!(of("create", "events") <= CHANGES, "{requests:#?}");
    let others: Vec<_> = requests
        .iter()
        .filter(|it| (it.verb.as_str(), it.resource.as_str()) != ("patch", "deployments"))
        .filter(|it| (it.verb.as_str(), it.resource.as_str()) != ("create", "events"))
        // The heartbeat, every ten seconds, whatever changes.
        .filter(|it| (it.verb.as_str(), it.resource.as_str()) != ("patch", "leases"))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}
