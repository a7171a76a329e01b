//! Grants of secrets stand in the log until they end, over every start.
#![expect(clippy::unwrap_used, reason = "only tests use it")]

use crate::support::{Place, at, caller, lease, log_key, settings, vault};
use ulid::Ulid;
use ward_audit::{Durability, Entry, Log, Record, Timestamp, Verdict};
use ward_policy::{FileId, SecretGrant, SecretGrantId};

fn grant(number: u128, client: &str) -> SecretGrant {
    let id = SecretGrantId(Ulid::from(number));
    SecretGrant::recalled(id, vault(), FileId(7), client.into())
}

fn standing(place: &Place, time: u64) -> Vec<Entry<'static>> {
    let (log, recovered) = Log::open(place.path(), log_key(), settings(), at(time)).unwrap();
    log.close(at(time + 1)).unwrap();
    recovered.granted
}

#[test]
fn a_grant_stands_over_every_start_until_it_ends() {
    let place = Place::new();
    let (log, caller, lease) = (place.open(), caller(), lease());
    let (first, second) = (grant(1, "deploy"), grant(2, "ci"));
    let until = Timestamp::from_microseconds(at(900).wall);
    let put = |record: Record<'_>, time| {
        let _receipt = log.append(record.by(&caller), Durability::Durable, at(time)).unwrap();
    };
    put(Record::giving(&first, Some(until), lease.grant()), 1);
    put(Record::giving(&second, None, lease.grant()), 2);
    drop(log);
    for time in [10, 20] {
        let granted = standing(&place, time);
        assert_eq!(granted.len(), 2);
        let told = (granted[0].client.as_deref(), granted[0].file.map(|file| file.0));
        assert_eq!((told, granted[0].until), ((Some("deploy"), Some(7)), Some(until)));
        assert_eq!((granted[1].client.as_deref(), granted[1].until), (Some("ci"), None));
        assert_eq!(granted[1].actor.as_ref().unwrap().uid, 1000);
    }
    let log = place.open_at(at(30));
    let _receipt = log.append(Record::taking(&first), Durability::Durable, at(31)).unwrap();
    drop(log);
    for time in [40, 50] {
        let granted = standing(&place, time);
        assert_eq!(granted.len(), 1);
        assert_eq!(granted[0].grant.as_deref(), Some(&*second.id().to_string()));
    }
    assert_eq!(place.verify().verdict, Verdict::Whole);
}
