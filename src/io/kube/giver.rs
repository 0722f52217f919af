//! Writes the addresses that Services were given, many at once, and finds out whether all that a leader before wrote is known.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1 as core;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinHandle;

use super::status::say;
use crate::kube::saying::Saying;
use crate::model::ServiceKey;

/// Requests at once. The API server takes some thousand small writes a second.
const AT_ONCE: usize = 32;
/// Objects in a page of a list.
const PAGE: u32 = 500;

/// Writes under way.
pub struct Giver {
    client: Client,
    under_way: FuturesUnordered<JoinHandle<(ServiceKey, Result<(), String>)>>,
}

impl Giver {
    /// Nothing is under way.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), under_way: FuturesUnordered::new() }
    }

    /// Whether another write may begin.
    pub fn has_room(&self) -> bool {
        self.under_way.len() < AT_ONCE
    }

    /// Whether anything is under way.
    pub fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Begins to write what a Service has.
    pub fn write(&mut self, service: ServiceKey, saying: Saying) {
        let client = self.client.clone();
        self.under_way.push(tokio::spawn(async move {
            let done = say(&client, &saying).await;
            (service, done)
        }));
    }

    /// Ends with the answer to a write; never, where none is under way. Cancel-safe.
    pub async fn answered(&mut self) -> (ServiceKey, Result<(), String>) {
        loop {
            match self.under_way.next().await {
                Some(Ok(answer)) => return answer,
                // It was cancelled, since the program ends.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The version of every Service, by a consistent read: whoever knows all of these knows all that was written before it
    /// was asked for. Only metadata is asked for.
    pub fn versions(&self) -> JoinHandle<Result<BTreeMap<ServiceKey, u64>, String>> {
        let client = self.client.clone();
        tokio::spawn(async move { versions(&client).await.map_err(|error| super::watch::root(&error)) })
    }
}

async fn versions(client: &Client) -> kube::Result<BTreeMap<ServiceKey, u64>> {
    let api: Api<core::Service> = Api::all(client.clone());
    let mut found = BTreeMap::new();
    let mut how = ListParams { limit: Some(PAGE), ..ListParams::default() };
    loop {
        let page = api.list_metadata(&how).await?;
        how.continue_token = page.metadata.continue_.clone().filter(|token| !token.is_empty());
        for service in page {
            let key = ServiceKey::new(&service.namespace().unwrap_or_default(), &service.name_any());
            let version = service.resource_version().and_then(|version| version.parse().ok());
            found.insert(key, version.unwrap_or(0));
        }
        if how.continue_token.is_none() {
            return Ok(found);
        }
    }
}
