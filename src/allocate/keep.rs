//! Those who have addresses: whether they still may, by MetalLB's rules; and what is done about a status that somebody else
//! writes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Step;
use super::allocator::{Allocator, Around, Truth};
use super::choose::is_as_asked;
use super::want::Want;
use super::why::Why;
use crate::model::{AddressRequest, Service, ServiceKey};

/// How often a status that somebody else writes is put right before it is left to them.
const PATIENCE: u8 = 3;
/// After so long a time what they wrote is forgotten.
const FORGIVEN: Duration = Duration::from_secs(600);

impl Allocator {
    /// A Service that has addresses by its status, and none by what is remembered.
    pub(super) fn claim(&mut self, want: &Want<'_>) {
        let (key, request) = (&want.service.key, &want.service.request);
        if self.is_left_for_now(want.service) {
            return;
        }
        self.left.remove(key);
        match self.may_keep(want, &request.held) {
            Ok(pool) => {
                self.hold(want, request.held.clone(), pool, Truth::default());
                self.settle_wishes(want);
            }
            Err(_) if self.is_foreign(want) => {
                self.leave_alone(key, None, Why::Foreign(request.held.clone()));
            }
            Err(why) => {
                if !self.waiting.contains(key) {
                    let addresses = request.held.clone();
                    self.steps.push(Step::TakenBack { service: key.clone(), addresses, why });
                }
                self.wait(key);
                // What stands there is to go, as often as it comes back.
                self.changed.insert(key.clone());
            }
        }
    }

    /// A Service that has addresses by what is remembered; whether there may be room now for others.
    pub(super) fn look_at_holder(&mut self, around: Around<'_>, want: &Want<'_>) -> bool {
        let (key, request) = (&want.service.key, &want.service.request);
        let Some(held) = self.held.get(key) else { return false };
        let (mut addresses, mut truth) = (held.addresses.clone(), held.truth.clone());
        let (had, terms_stand) = (addresses.clone(), (&held.key, &held.ports) == (&want.key, &want.ports));
        let is_said = request.held == addresses;
        if is_said {
            truth.before = None;
        } else if truth.before.as_ref() != Some(&request.held) {
            // Somebody else wrote it. What is good is taken as the truth.
            let (times, last) = truth.overwritten;
            let again = if around.now.saturating_sub(last) < FORGIVEN { times } else { 0 };
            truth.overwritten = (again.saturating_add(1), around.now);
            let is_good = !request.held.is_empty() && self.may_keep(want, &request.held).is_ok();
            if is_good {
                (addresses, truth.before) = (request.held.clone(), None);
            } else {
                truth.before = Some(request.held.clone());
            }
            if truth.overwritten.0 > PATIENCE {
                let (by, addresses) = (request.given_by.clone(), request.held.clone());
                self.forget(key);
                let asked = Some(asked_of(request));
                self.leave_alone(key, asked, Why::Overwritten { by, addresses });
                return true;
            }
        }
        match self.may_keep(want, &addresses) {
            Ok(pool) => {
                // On other terms, or elsewhere: there may be room for others where it was.
                let is_eased = !terms_stand || addresses != had;
                self.hold(want, addresses, pool, truth);
                self.settle_wishes(want);
                is_eased
            }
            Err(why) => {
                self.take_back(key, why);
                true
            }
        }
    }

    /// It keeps what it has; what it would rather have is said.
    fn settle_wishes(&mut self, want: &Want<'_>) {
        let key = &want.service.key;
        match want.asked() {
            Err(why) => self.refuse(key, why),
            Ok(_) if matches!(self.refused.get(key), Some(Why::Stranger(..))) => {}
            Ok(_) => drop(self.refused.remove(key)),
        }
    }

    /// The family that it lacks is looked for, once everybody's claim is known.
    pub(super) fn complete(&mut self, around: Around<'_>, want: &Want<'_>) {
        let key = &want.service.key;
        let Some(held) = self.held.get(key) else { return };
        let [one] = held.addresses[..] else { return };
        if !want.prefers_dual() || want.asked() != Ok(None) {
            return;
        }
        let (pool, mut truth) = (held.pool.clone(), held.truth.clone());
        if let Some(other) = self.choose_other(around, want, one) {
            truth.before.get_or_insert_with(|| want.service.request.held.clone());
            self.hold(want, vec![one, other], pool.clone(), truth);
            let service = key.clone();
            self.steps.push(Step::Given { service, addresses: vec![other], pool });
        }
    }

    /// Neither an address of a pool, nor a word that there once was one: it is somebody else's.
    fn is_foreign(&self, want: &Want<'_>) -> bool {
        let request = &want.service.request;
        request.from_pool.is_none() && !request.held.iter().any(|it| self.pools.holding(*it).is_some())
    }

    /// Whether it is left alone until it asks for something else, and does not.
    fn is_left_for_now(&self, service: &Service) -> bool {
        let asked = self.left.get(&service.key).and_then(Option::as_ref);
        asked.is_some_and(|asked| *asked == asked_of(&service.request))
    }

    fn leave_alone(&mut self, key: &ServiceKey, until_other: Option<AddressRequest>, why: Why) {
        self.waiting.remove(key);
        self.changed.insert(key.clone());
        self.left.insert(key.clone(), until_other);
        self.refuse(key, why);
    }

    /// The pool of addresses that a Service has, if it may keep them.
    fn may_keep(&self, want: &Want<'_>, addresses: &[IpAddr]) -> Result<Arc<str>, Why> {
        if let Some(why) = want.fault() {
            return Err(why);
        }
        if !want.takes_families_of(addresses) {
            return Err(Why::FamiliesChanged);
        }
        let request = &want.service.request;
        let pool = match self.permits(want, addresses) {
            Err(Why::NoPoolHas(_)) if self.is_of_a_broken_pool(want, addresses) => {
                request.from_pool.clone().unwrap_or_default()
            }
            found => found?,
        };
        if let Some(asked) = request.pool.clone().filter(|asked| *asked != pool) {
            return Err(Why::OtherPool { pool, asked });
        }
        match want.asked() {
            Ok(asked) if !is_as_asked(asked, addresses) => {
                Err(Why::AsksForOthers(asked.unwrap_or_default().to_vec()))
            }
            // What cannot be read takes nothing away.
            Ok(_) | Err(_) => Ok(pool),
        }
    }

    /// Whether they are of a pool that is there and cannot be used: that is no reason to take them back.
    fn is_of_a_broken_pool(&self, want: &Want<'_>, addresses: &[IpAddr]) -> bool {
        let from = want.service.request.from_pool.as_ref();
        let is_nobodys = |address: &IpAddr| self.pools.holding(*address).is_none();
        from.is_some_and(|from| self.pools.may_be_broken(from))
            && addresses.iter().all(is_nobodys)
            && addresses
                .iter()
                .all(|it| self.uses.clash(&want.service.key, *it, &want.key, &want.ports).is_none())
    }

    /// The pool of these addresses, if the Service may have them by pools and sharing.
    pub(super) fn permits(&self, want: &Want<'_>, addresses: &[IpAddr]) -> Result<Arc<str>, Why> {
        let first = addresses.first().and_then(|address| self.pools.holding(*address));
        let pool = first.filter(|pool| addresses.iter().all(|address| pool.owns(*address)));
        let Some(pool) = pool else { return Err(Why::NoPoolHas(addresses.to_vec())) };
        if !pool.is_for(want.service) {
            return Err(Why::PoolNotForIt(pool.name().clone()));
        }
        let clash = addresses
            .iter()
            .find_map(|address| self.uses.clash(&want.service.key, *address, &want.key, &want.ports));
        clash.map_or_else(|| Ok(pool.name().clone()), |clash| Err(Why::Clash(clash)))
    }
}

/// What it asks for, without what it has.
fn asked_of(request: &AddressRequest) -> AddressRequest {
    AddressRequest { held: Vec::new(), from_pool: None, given_by: None, ..request.clone() }
}
