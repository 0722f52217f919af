//! Takes objects of ours away, for whoever removes everything.

use k8s_openapi::api::coordination::v1 as coordination;
use kube::api::{DeleteParams, DynamicObject};
use kube::{Api, Client};

use super::watch::{forbidden, resource_of, root};
use crate::kube::Kind;
use crate::model::ReportKey;

/// Whether there is such a Lease.
///
/// # Errors
/// The API server does not say.
pub async fn is_there(client: &Client, lease: &ReportKey) -> Result<bool, String> {
    let api: Api<coordination::Lease> = Api::namespaced(client.clone(), &lease.namespace);
    match api.get_opt(&lease.name).await {
        Ok(found) => Ok(found.is_some()),
        Err(error) => {
            Err(format!("Lease {}/{} cannot be read: {}", lease.namespace, lease.name, root(&error)))
        }
    }
}

/// Deletes an object; one that is gone is no error. The error has its cure.
pub async fn delete(client: &Client, kind: Kind, namespace: &str, name: &str) -> Result<(), String> {
    let Some((resource, words)) = resource_of(kind) else {
        return Err("it is of no kind that is watched".to_owned());
    };
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(forbidden("delete", &words)),
        Err(error) => Err(root(&error)),
    }
}
