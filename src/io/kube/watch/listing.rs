//! Every object of the kinds that are watched, as they came, once.

use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;

use super::raw::{Raw, WATCHED};

/// By kind, as `kubectl` names it, such as `subnets.kubeovn.io`: its objects, or why they cannot be listed.
pub async fn list_all(client: &Client) -> Vec<(String, Result<Vec<Value>, String>)> {
    let mut all = Vec::new();
    for watched in WATCHED {
        let resource = watched.resource();
        let api: Api<Raw> = match watched.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let listed = api.list(&ListParams::default()).await;
        let objects = listed.map(|list| list.items.into_iter().map(|raw| raw.body).collect());
        all.push((watched.resource_name(), objects.map_err(|error| error.to_string())));
    }
    all
}
