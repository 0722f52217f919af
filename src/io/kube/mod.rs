//! Kubernetes and Kube-OVN objects to the model.
//!
//! The only folder that knows both. It is given typed objects, from a watch or a manifest, and gives back
//! model values that are already valid; what it cannot understand it names in a [`Problem`], with the object,
//! the field, the value and the cure, and goes on with the rest of the object where that makes sense.
//! Conversion reads no file and opens no connection; [`watch`] is where objects come from.

pub mod connect;
pub mod convert;
pub mod crd;
mod kind;
pub mod lease;
mod problem;
pub mod publish;
pub mod status;
pub mod voice;
pub mod watch;

pub use convert::Converted;
pub use kind::Kind;
pub use problem::Problem;
