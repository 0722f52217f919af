//! ovn-vip makes MetalLB VIPs work on Kube-OVN underlay subnets.
//!
//! # The way of a packet
//! 1. A client asks who has the VIP; the speaker of exactly one node answers with that node's bridge MAC.
//! 2. The frame enters the NIC of the node's provider bridge. A rule of ours rewrites the destination MAC
//!    and outputs to the patch port of the subnet's localnet port.
//! 3. In the logical switch the load balancer translates the VIP to a pod *of this node*; the source stays.
//! 4. The pod answers through the same node's localnet port, where the reply is translated back.
//!
//! # Who imports whom (held by `tests/layers.rs`)
//! A star, not a tower: siblings meet only in [`model`].
//!
//! | module | may import | what it is |
//! |---|---|---|
//! | [`model`] | – | the shared vocabulary |
//! | [`ovsdb`] | – | RFC 7047 and its extensions; knows neither OVN nor Kubernetes |
//! | [`plan`] | `model` | the decisions: a world in, what should exist out |
//! | [`allocate`] | `model` | which Service gets which address of which pool |
//! | [`l2`] | `model` | ARP and NDP, sans-I/O |
//! | [`flows`] | `model` | OpenFlow rules of the provider bridge, sans-I/O |
//! | [`nb`] | `model`, `ovsdb` | the OVN northbound as we use it |
//! | [`kube`] | `model` | Kubernetes' objects to the model, and what is said on them; no client |
//! | [`import`] | `model`, `plan` | configurations of other load balancers, as MetalLB's objects |
//! | [`node`] | `model`, `plan`, `flows`, `l2`, `ovsdb`, `kube` | one node as a machine: what happens in, what is to be done out |
//! | [`io`] | any of the above | everything that can block, fail or vary |
//! | [`controller`], [`speaker`], [`cli`], [`settings`], [`telemetry`] | all of the above | wiring, one loop each |
//!
//! # Where to start reading
//! [`plan::plan_service`] has the rules in order; [`node::Agent`] is what one node does; [`controller`] and [`speaker`] have one loop each;
//! `docs/architecture.md` has the picture.

pub mod allocate;
pub mod cli;
pub mod controller;
pub mod flows;
pub mod import;
pub mod io;
pub mod kube;
pub mod l2;
pub mod model;
pub mod nb;
pub mod node;
pub mod ovsdb;
pub mod plan;
pub mod settings;
pub mod speaker;
pub mod telemetry;
