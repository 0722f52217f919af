//! Kubernetes and Kube-OVN objects to the model, and what is said on them.
//!
//! The only room that knows both. It is given typed objects, from a watch or a manifest, and gives back model values
//! that are already valid; what it cannot understand it names in a [`Problem`], with the object, the field, the value
//! and the cure, and goes on with the rest of the object where that makes sense. What is to be written is a
//! [`saying::Saying`], compared with the [`marks::Marks`] that stand there. Types of Kubernetes, no client: nothing
//! here reads a file or opens a connection.

pub mod convert;
pub mod crd;
pub mod events;
mod kind;
pub mod marks;
mod problem;
pub mod saying;

pub use convert::Converted;
pub use kind::Kind;
pub use problem::Problem;
