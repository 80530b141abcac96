//! What is asked of coreos-deploy.

use std::collections::BTreeMap;

use serde::Serialize;

/// The body of `POST /v1.0/deploy`: the keys, and the order of keys, of the original client (recorded).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployRequest {
    /// The `name` of the metadata: the first part of the units' names.
    pub service_name: String,
    /// The version.
    pub version: String,
    /// How many units are started, 1 to 100.
    pub num_instances: u32,
    /// The rendered unit file.
    pub service_template: String,
    /// Keys to set in etcd.
    pub etcd2_keys: BTreeMap<String, String>,
}
