//! Rights of the user who has none.

use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde_json::{Value, json};

use super::{Test, cluster::LIMITED_USER};

impl Test {
    /// Lets the limited user do this in the test's namespace.
    pub async fn grant(&self, name: &str, rules: Value) {
        let role = json!({"metadata": {"name": name}, "rules": rules});
        let _: Role = self.create(role).await;
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LIMITED_USER}]
        });
        let _: RoleBinding = self.create(binding).await;
    }
}
