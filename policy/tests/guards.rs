//! What stands before and after the rules: rate, breaker, cumulative risk.

use crate::support::{caller, doubts, path, rules, vault};
use std::time::Duration;
use ward_policy::{
    BreakerSettings, BreakerState, Caller, CountedOpen, Digest, Ending, Executable, FileId, Grade,
    GuardName, GuardRefusal, GuardSettings, GuardedClient, Guards, Moment, Operation, OperationSet,
    Question, RateSettings, Risk, RiskSettings, Stake, UserId, Weight,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Those of the example of the documents, with the breaker on.
const SETTINGS: GuardSettings = GuardSettings {
    rate: Some(RateSettings { max: 600, per: MINUTE }),
    breaker: Some(BreakerSettings {
        denials: 10,
        within: MINUTE,
        cooldown: Duration::from_secs(300),
    }),
    risk: Some(RiskSettings { window: HOUR, escalate: 30, deny: 75 }),
};

#[test]
fn the_policy_says_what_the_guards_do_and_silence_is_none() {
    let text = "version = 1\n[defaults]\n\
        rate = { max = 600, per = '1m', breaker = 10, within = '1m', cooldown = '5m' }\n\
        risk = { window = '1h', escalate = 30, deny = 75 }\n";
    assert_eq!(*rules(text).guards(), SETTINGS);
    assert_eq!(*rules("version = 1").guards(), GuardSettings::default());
}

fn at(seconds: u64) -> Moment {
    Moment::from_nanoseconds(seconds * 1_000_000_000)
}

fn refused(guards: &mut Guards, seconds: u64) -> Option<(GuardName, u64)> {
    let refusal = guards.admit(&SETTINGS, at(seconds)).err();
    refused_by(refusal)
}

fn refused_by(refusal: Option<GuardRefusal>) -> Option<(GuardName, u64)> {
    let seconds = |wait: Duration| wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    refusal.map(|refusal| (refusal.guard, seconds(refusal.retry)))
}

fn end(guards: &mut Guards, seconds: u64, ending: Ending) {
    guards.settle(&SETTINGS, ending, None, at(seconds));
}

/// Ten denials in ten seconds.
fn tripped() -> Guards {
    let mut guards = Guards::default();
    for second in 0..10 {
        assert_eq!(refused(&mut guards, second), None, "{second}");
        end(&mut guards, second, Ending::Denied);
    }
    guards
}

#[test]
fn a_thousand_ordinary_reads_in_an_hour_pass_every_guard() {
    let mut guards = Guards::default();
    for read in 0..1000 {
        let second = read * 3600 / 1000;
        assert_eq!(refused(&mut guards, second), None, "{read}");
        end(&mut guards, second, Ending::Permitted);
    }
    assert_eq!(guards.breaker(at(3600)), BreakerState::Closed);
}

#[test]
fn without_settings_everything_passes() {
    let (mut guards, none) = (Guards::default(), GuardSettings::default());
    for _ in 0..10_000 {
        guards.admit(&none, at(0)).unwrap();
        guards.settle(&none, Ending::Denied, None, at(0));
    }
    assert_eq!(guards.weigh(&none, stake(&vault("work"), &path("a")), at(0)), Weight::Light);
    assert_eq!(guards, Guards::default());
}

#[test]
fn what_is_over_the_rate_is_refused_and_told_when_there_is_room() {
    let mut guards = Guards::default();
    for _ in 0..600 {
        assert_eq!(refused(&mut guards, 10), None);
    }
    let Some((GuardName::Rate, wait)) = refused(&mut guards, 10) else { panic!("it passed") };
    assert!((60..=62).contains(&wait), "{wait}");
    assert_eq!(refused(&mut guards, 10 + wait), None);
}

#[test]
fn a_refusal_by_a_guard_counts_for_no_guard() {
    let mut guards = Guards::default();
    (0..600).for_each(|_| assert_eq!(refused(&mut guards, 0), None));
    let before = guards.clone();
    for second in 1..50 {
        assert!(refused(&mut guards, second).is_some());
    }
    assert_eq!(guards, before, "whoever keeps knocking waits no longer");
}

#[test]
fn never_more_than_the_rate_fits_into_any_span() {
    let mut guards = Guards::default();
    let admitted: Vec<u64> =
        (0..300_000).filter(|turn| guards.admit(&SETTINGS, millisecond(*turn)).is_ok()).collect();
    for window in admitted.windows(601) {
        let [first, .., last] = window else { panic!() };
        assert!(last - first >= 60_000, "{first} {last}");
    }
    assert!(admitted.len() > 2_500, "and most of the room is used: {}", admitted.len());
}

fn millisecond(number: u64) -> Moment {
    Moment::from_nanoseconds(number * 1_000_000)
}

#[test]
fn a_breaker_opens_after_its_denials_and_says_until_when() {
    let mut guards = tripped();
    assert_eq!(guards.breaker(at(9)), BreakerState::Open);
    assert_eq!(refused(&mut guards, 9), Some((GuardName::Breaker, 300)));
    assert_eq!(refused(&mut guards, 109), Some((GuardName::Breaker, 200)));
    assert_eq!(guards.breaker(at(309)), BreakerState::HalfOpen);
}

#[test]
fn denials_that_are_spread_out_open_no_breaker() {
    let mut guards = Guards::default();
    for turn in 0..100 {
        assert_eq!(refused(&mut guards, turn * 7), None, "{turn}");
        end(&mut guards, turn * 7, Ending::Denied);
    }
}

#[test]
fn a_half_open_breaker_lets_one_through_and_no_other() {
    let mut guards = tripped();
    assert_eq!(refused(&mut guards, 309), None);
    assert_eq!(refused(&mut guards, 310), Some((GuardName::Breaker, 299)));
}

#[test]
fn a_trial_that_is_permitted_closes_the_breaker() {
    let mut guards = tripped();
    assert_eq!(refused(&mut guards, 309), None);
    end(&mut guards, 310, Ending::Permitted);
    assert_eq!(guards.breaker(at(310)), BreakerState::Closed);
    for second in 310..319 {
        assert_eq!(refused(&mut guards, second), None);
        end(&mut guards, second, Ending::Denied);
    }
    assert_eq!(guards.breaker(at(319)), BreakerState::Closed, "it counts anew");
}

#[test]
fn a_trial_that_is_denied_opens_the_breaker_again() {
    let mut guards = tripped();
    assert_eq!(refused(&mut guards, 309), None);
    end(&mut guards, 310, Ending::Denied);
    assert_eq!(refused(&mut guards, 311), Some((GuardName::Breaker, 299)));
}

#[test]
fn a_trial_that_says_nothing_makes_room_for_the_next() {
    let mut guards = tripped();
    assert_eq!(refused(&mut guards, 309), None);
    end(&mut guards, 310, Ending::Open);
    assert_eq!(refused(&mut guards, 310), None);
    // A trial of which nobody ever heard again does not hold up others for ever.
    assert_eq!(refused(&mut guards, 610), None);
}

#[test]
fn the_breaker_speaks_before_the_rate() {
    let mut guards = tripped();
    for _ in 0..1000 {
        assert_eq!(refused(&mut guards, 9), Some((GuardName::Breaker, 300)));
    }
    assert_eq!(refused(&mut guards, 309), None, "the rate has not counted them");
}

fn stake<'a>(vault: &'a ward_policy::VaultName, path: &'a ward_policy::SecretPath) -> Stake<'a> {
    Stake { vault, path, file: None, risk: Risk::High }
}

#[test]
fn the_sum_of_what_was_at_stake_asks_a_human_and_then_denies() {
    let (mut guards, work) = (Guards::default(), vault("work"));
    let mut weights = Vec::new();
    for number in 0..6 {
        let name = path(&format!("key-{number}"));
        let weight = guards.weigh(&SETTINGS, stake(&work, &name), at(number));
        if !matches!(weight, Weight::TooHeavy(_)) {
            guards.settle(&SETTINGS, Ending::Permitted, Some(stake(&work, &name)), at(number));
        }
        weights.push(weight);
    }
    let too_heavy = |seconds| Weight::TooHeavy(Duration::from_secs(seconds));
    use Weight::{Heavy, Light};
    // 15, 30, 45, 60, 75 points: from 30 on a human is asked, from 75 on nobody.
    assert_eq!(weights, [Light, Heavy, Heavy, Heavy, too_heavy(3596), too_heavy(3595)]);
    let later = guards.weigh(&SETTINGS, stake(&work, &path("key-9")), at(3600));
    assert_eq!(later, Heavy, "the first one counts no more");
}

#[test]
fn a_path_counts_once_within_a_window() {
    let (mut guards, work, name) = (Guards::default(), vault("work"), path("key"));
    for second in 0..100 {
        assert_eq!(guards.weigh(&SETTINGS, stake(&work, &name), at(second)), Weight::Light);
        guards.settle(&SETTINGS, Ending::Permitted, Some(stake(&work, &name)), at(second));
    }
    let risk = SETTINGS.risk.unwrap();
    assert_eq!(guards.points(&risk, at(100)), 15);
    assert_eq!(guards.points(&risk, at(3600)), 0, "since it was first counted");
    let home = vault("home");
    guards.settle(&SETTINGS, Ending::Permitted, Some(stake(&home, &name)), at(100));
    assert_eq!(guards.points(&risk, at(100)), 30, "the same path of another vault is another one");
}

#[test]
fn what_was_denied_or_waits_adds_nothing() {
    let (mut guards, work, name) = (Guards::default(), vault("work"), path("key"));
    for ending in [Ending::Denied, Ending::Open] {
        guards.settle(&SETTINGS, ending, Some(stake(&work, &name)), at(0));
    }
    assert_eq!(guards.points(&SETTINGS.risk.unwrap(), at(0)), 0);
}

#[test]
fn only_what_is_restricted_or_critical_is_at_stake() {
    let rules = rules(
        "version = 1\n[ops]\n'file.read' = 'medium'\n\
         [targets.held]\npath = ['held/*']\nsensitivity = 'restricted'\n\
         [targets.plain]\npath = ['plain/*']\nsensitivity = 'internal'\n",
    );
    let work = vault("work");
    let risk = |name: &str| {
        let name = path(name);
        let question = Question {
            operations: OperationSet::of(Operation::FileRead),
            vault: Some(&work),
            path: Some(&name),
            ..Question::default()
        };
        rules.stake(&question).map(|stake| stake.risk)
    };
    assert_eq!(risk("held/a"), Some(Risk::High));
    assert_eq!(risk("plain/a"), None);
    assert_eq!(risk("other"), None);
}

#[test]
fn a_verified_program_is_counted_for_itself_and_any_other_for_its_user() {
    let program = |uid, byte, grade| {
        let sha256 = Some(Digest::from_bytes([byte; 32]));
        let program = Executable { path: None, device: 1, inode: 2, sha256 };
        let known = caller(uid);
        let changed = Caller { executable: Some(program.into()), doubts: doubts(grade), ..known };
        GuardedClient::of(&changed)
    };
    let (verified, weak) = (Grade::Verified, Grade::Weak);
    assert_ne!(program(1, 1, verified), program(1, 2, verified));
    assert_ne!(program(1, 1, verified), program(2, 1, verified));
    assert_eq!(program(1, 1, weak), program(1, 2, weak), "another copy is not counted anew");
    assert_ne!(program(1, 1, weak), program(2, 1, weak));
    let other = Caller { uid: UserId(1), ..caller(1) };
    assert_eq!(GuardedClient::of(&caller(1)), GuardedClient::of(&other));
}

#[test]
fn what_was_counted_can_be_written_down_and_read_back() {
    let (mut guards, work, name) = (tripped(), vault("work"), path("\u{e4}/b"));
    let staked = Stake { file: Some(FileId(7)), ..stake(&work, &name) };
    guards.settle(&SETTINGS, Ending::Permitted, Some(staked), at(9));
    let mut back = Guards::of_tally(&SETTINGS, &guards.tally(&SETTINGS));
    assert_eq!(back, guards);
    assert_eq!(refused(&mut back, 10), Some((GuardName::Breaker, 299)));
    assert_eq!(back.points(&SETTINGS.risk.unwrap(), at(10)), 15);
    assert!(Guards::default().tally(&SETTINGS).is_empty());
}

#[test]
fn what_the_log_says_of_opens_counts_as_the_opens_did() {
    let (work, name) = (vault("work"), path("key"));
    let staked = Stake { file: Some(FileId(7)), ..stake(&work, &name) };
    let (mut guards, mut recalled) = (Guards::default(), Guards::default());
    for second in 0..20 {
        let ending = if second % 2 == 0 { Ending::Denied } else { Ending::Permitted };
        if guards.admit(&SETTINGS, at(second)).is_ok() {
            guards.settle(&SETTINGS, ending, Some(staked), at(second));
            let stake = (ending == Ending::Permitted).then(|| ("work".to_owned(), FileId(7), 15));
            let open = CountedOpen { ending, stake };
            let ago = std::time::Duration::from_secs(100 - second);
            recalled.recall(&SETTINGS, &open, (at(100), ago));
        }
    }
    assert_eq!(recalled, guards);
}

#[test]
fn a_client_that_did_nothing_of_late_is_forgotten() {
    let mut guards = Guards::default();
    assert!(guards.is_forgotten(&SETTINGS, at(0)));
    assert_eq!(refused(&mut guards, 0), None);
    assert!(!guards.is_forgotten(&SETTINGS, at(1)));
    assert!(guards.is_forgotten(&SETTINGS, at(120)));
    assert!(!tripped().is_forgotten(&SETTINGS, at(10_000)), "a breaker closes by a trial alone");
}

#[test]
fn a_refusal_says_who_refuses_and_when_to_come_back() {
    let mut guards = tripped();
    let refusal = guards.admit(&SETTINGS, at(10)).unwrap_err();
    assert_eq!(refusal.to_string(), "the guard `breaker` refuses it; come back in 299 s");
}
