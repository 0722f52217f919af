//! Who else, in the northbound, has a VIP and port.

use uuid::Uuid;

/// A load balancer row that is not ours, for one VIP and port that it has, or had a moment ago.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NativeRow {
    /// Whose it is, and what it does for this VIP and port.
    pub holder: Holder,
    /// The row.
    pub uuid: Uuid,
    /// Its name, for people.
    pub name: String,
}

/// Whose a foreign row is, and what it does for one VIP and port; of several rows the first of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Nobody's whom we know: never touched.
    Stranger,
    /// Kube-OVN's, which serves it by a template variable: its key is not the VIP's, and stays in the row.
    Template,
    /// Kube-OVN's, which serves it.
    KubeOvn,
    /// Kube-OVN's, which does not keep it on the announcing node, and nothing says that it once did: somebody may have
    /// put it there.
    Idle,
    /// Kube-OVN's, which had it a moment ago and may write it again.
    Awaited {
        /// It is ours this long after it went, if it stays away.
        seconds: u64,
        /// How often it was written again lately when it was ours already: why it is held back.
        undone: u32,
    },
    /// Kube-OVN's, which served it once and does no longer: nobody owns it.
    Leftover,
}

impl Holder {
    /// Whether Kube-OVN serves the VIP and port, or is about to. Who of the two does is told nowhere on a Service: Kube-OVN
    /// acts on each write to one.
    pub fn serves(self) -> bool {
        match self {
            Holder::Template | Holder::KubeOvn | Holder::Awaited { .. } => true,
            Holder::Stranger | Holder::Idle | Holder::Leftover => false,
        }
    }

    /// Whether the key may be taken out of the row, with consent.
    pub fn yields(self) -> bool {
        match self {
            Holder::KubeOvn | Holder::Idle | Holder::Awaited { .. } | Holder::Leftover => true,
            Holder::Stranger | Holder::Template => false,
        }
    }
}
