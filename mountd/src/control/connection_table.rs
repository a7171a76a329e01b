//! Who is connected: no user takes the places of others, and nobody stays without a word.

use nix::sys::socket::{getsockopt, sockopt};
use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ward_policy::UserId;

/// How many connections are served at once.
const MOST: usize = 128;
/// How many of them one user may have.
const MOST_OF_ONE_USER: usize = 32;
/// How long a connection may say nothing: longer than a person takes to type a passphrase.
const PATIENCE: Duration = Duration::from_secs(120);

/// The connections that are served at present.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    /// Guards the counts only.
    of_user: Mutex<BTreeMap<UserId, usize>>,
}

/// A place among them, given back with [`ConnectionTable::leave`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted(UserId);

impl ConnectionTable {
    /// A place for the user at the other end, unless it has too many or there are too many.
    pub(crate) fn admit(&self, stream: &UnixStream) -> Option<Admitted> {
        let peer = getsockopt(stream, sockopt::PeerCredentials).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        self.admit_user(UserId(peer.uid()))
    }

    /// The same for a user who is known already.
    pub(crate) fn admit_user(&self, user: UserId) -> Option<Admitted> {
        let mut of_user = self.of_user();
        let all: usize = of_user.values().sum();
        let own = of_user.entry(user).or_default();
        if *own >= MOST_OF_ONE_USER || all >= MOST {
            return None;
        }
        *own += 1;
        Some(Admitted(user))
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, Admitted(user): Admitted) {
        let mut of_user = self.of_user();
        if let Some(own) = of_user.get_mut(&user) {
            *own = own.saturating_sub(1);
        }
        of_user.retain(|_, own| *own > 0);
    }

    fn of_user(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.of_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_does_not_take_the_places_of_others() {
        let table = ConnectionTable::default();
        let (stream, _other_end) = UnixStream::pair().unwrap();
        let mut places: Vec<_> = (0..MOST_OF_ONE_USER).map(|_| table.admit(&stream)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(table.admit(&stream).is_none());
        table.leave(places.pop().flatten().unwrap());
        assert!(table.admit(&stream).is_some());
    }
}
