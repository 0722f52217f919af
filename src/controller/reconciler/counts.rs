//! Counting what several hold.

use std::collections::BTreeMap;

/// Each is held once more.
pub(super) fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, members: impl IntoIterator<Item = K>) {
    for member in members {
        *counts.entry(member).or_default() += 1;
    }
}

/// Each is held once less; what nobody holds is gone.
pub(super) fn uncount<K: Ord>(counts: &mut BTreeMap<K, usize>, members: impl IntoIterator<Item = K>) {
    for member in members {
        if let Some(count) = counts.get_mut(&member) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&member);
            }
        }
    }
}
