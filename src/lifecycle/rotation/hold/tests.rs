#![allow(clippy::arithmetic_side_effects, reason = "small numbers of seconds")]

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The tries that follow one at 0, each made when it is due.
fn tries(grace: Option<u64>, expires_at: Option<i64>) -> Vec<i64> {
    let terms = Terms {
        reuse_grace: grace.map(Duration::from_secs),
        rotates: true,
        access_issued_at: Some(at(-1000)),
        access_expires_at: expires_at.map(at),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let mut unresolved = Unresolved::first(at(0));
    let mut times = vec![];
    while let NextTry::At { time, after_hold } = next_try(unresolved, &terms, unresolved.last_at) {
        times.push(time.as_second());
        unresolved = Unresolved::after(Some(unresolved), time, after_hold);
        assert!(times.len() < 100, "it ends");
    }
    times
}

#[test]
fn a_strict_server_is_asked_once_before_the_access_token_expires_then_for_a_day() {
    let times = tries(Some(0), Some(2000));
    assert_eq!(times[..8], [1940, 2000, 2120, 2360, 2840, 3800, 5720, 9320]);
    assert_eq!(times[8] - times[7], 3600);
    assert_eq!(times.len(), 1 + 6 + 24);
}

#[test]
fn an_unknown_server_is_asked_three_times_soon_and_then_held() {
    let times = tries(None, Some(2000));
    assert_eq!(times[..5], [1, 5, 20, 1940, 2000]);
    assert_eq!(times.len(), 3 + 1 + 6 + 24);
}

#[test]
fn a_try_soon_after_the_first_that_was_missed_is_not_made_up_for() {
    let terms = Terms {
        reuse_grace: None,
        rotates: true,
        access_issued_at: Some(at(-1000)),
        access_expires_at: Some(at(2000)),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    // The answer was waited for in vain, or its pod was lost.
    let unresolved = Unresolved::first(at(0)).over_at(at(120));
    let held = NextTry::At { time: at(1940), after_hold: true };
    assert_eq!(next_try(unresolved, &terms, at(120)), held);
    let soon = NextTry::At { time: at(1), after_hold: false };
    assert_eq!(next_try(unresolved, &terms, at(31)), soon);
}

#[test]
fn without_an_access_token_a_hold_begins_when_the_try_is_over() {
    let terms = Terms {
        reuse_grace: Some(Duration::ZERO),
        rotates: true,
        access_issued_at: None,
        access_expires_at: None,
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let unresolved = Unresolved::first(at(0)).over_at(at(120));
    let next = next_try(unresolved, &terms, at(120));
    assert_eq!(next, NextTry::At { time: at(180), after_hold: true });
}

#[test]
fn an_answer_is_not_waited_for_until_the_window_is_over() {
    let limit = |grace: Option<u64>| answer_limit(grace.map(Duration::from_secs)).as_secs();
    assert_eq!([None, Some(0)].map(limit), [120, 120]);
    assert_eq!([Some(10), Some(60), Some(200), Some(3600)].map(limit), [30, 30, 80, 120]);
}

#[test]
fn a_window_is_used_up_to_four_fifths() {
    assert_eq!(tries(Some(60), Some(2000))[..6], [1, 5, 15, 30, 45, 1940]);
    // Of a short window what fits.
    assert_eq!(tries(Some(8), Some(2000))[..5], [1, 2, 4, 5, 6]);
    assert_eq!(tries(Some(1), Some(2000))[..1], [0]);
}

#[test]
fn a_server_that_was_never_seen_to_rotate_is_asked_again_for_ever() {
    let terms = Terms {
        reuse_grace: None,
        rotates: false,
        access_issued_at: Some(at(0)),
        access_expires_at: Some(at(3600)),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let mut unresolved = Unresolved::first(at(0));
    let mut waits = vec![];
    for _ in 0..200 {
        let NextTry::At { time, after_hold } = next_try(unresolved, &terms, unresolved.last_at)
        else {
            panic!("it never gives up")
        };
        waits.push(time.duration_since(unresolved.last_at).as_secs());
        unresolved = Unresolved::after(Some(unresolved), time, after_hold);
    }
    assert_eq!(waits[..4], [5, 10, 20, 40]);
    assert_eq!(waits.last(), Some(&600));
    // What the user said of it counts more.
    let strict = Terms { reuse_grace: Some(Duration::ZERO), ..terms };
    let next = next_try(Unresolved::first(at(0)), &strict, at(0));
    assert_eq!(next, NextTry::At { time: at(3540), after_hold: true });
}

#[test]
fn a_long_window_does_not_outlast_the_access_token() {
    assert_eq!(tries(Some(720 * 3600), Some(2000))[..4], [1, 5, 1940, 2000]);
}

#[test]
fn a_window_of_weeks_is_used_to_its_end_and_not_beyond() {
    const HOUR: i64 = 3600;
    for hours in [31, 100, 720] {
        let times = tries(Some(hours * 3600), Some(2000));
        assert_eq!(times[..4], [1, 5, 1940, 2000]);
        let window = 3600 * i64::try_from(hours).unwrap() * 4 / 5;
        let last = *times.last().unwrap();
        assert!((window - HOUR..=window).contains(&last), "{hours} hours: {times:?}");
        let pauses: Vec<_> = times[3..].windows(2).map(|two| two[1] - two[0]).collect();
        // But for the last one, which the window cuts short.
        let grown = &pauses[..pauses.len() - 1];
        assert!(grown.is_sorted() && grown[..3] == [120, 240, 480], "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= window / 8));
        assert!(times.len() < 66, "{}", times.len());
    }
    // A day of tries is as long as this one.
    assert_eq!(tries(Some(30 * 3600), Some(2000)).len(), 2 + 1 + 6 + 24);
}

#[test]
fn a_long_window_that_ended_while_nobody_ran_is_not_tried_after() {
    let terms = Terms {
        reuse_grace: Some(Duration::from_secs(720 * 3600)),
        rotates: true,
        access_issued_at: Some(at(-1000)),
        access_expires_at: Some(at(2000)),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let tried = Unresolved::after(Some(Unresolved::first(at(0))), at(1940), true);
    let soon = NextTry::At { time: at(2000), after_hold: true };
    let end = 576 * 3600;
    assert_eq!(next_try(tried, &terms, at(end)), soon);
    assert_eq!(next_try(tried, &terms, at(end + 1)), NextTry::Never);
}

#[test]
fn no_hold_ends_earlier_than_the_server_lets_the_token_be_renewed() {
    let terms = Terms {
        reuse_grace: Some(Duration::ZERO),
        rotates: true,
        access_issued_at: Some(at(0)),
        access_expires_at: Some(at(7200)),
        refresh_life: None,
        earliest: Some(Duration::from_secs(5)),
        asked_at: None,
    };
    let first = Unresolved::first(at(4800));
    let next = NextTry::At { time: at(7198), after_hold: true };
    assert_eq!(next_try(first, &terms, at(4800)), next);
    // Nor is it earlier when a human had it tried in between.
    let asked = Unresolved::after(Some(Unresolved::first(at(1000))), at(1100), true);
    assert_eq!(next_try(asked, &terms, at(1100)), next);
    // What is allowed anyway is as it was.
    let soon = Terms { earliest: Some(Duration::from_secs(600)), ..terms };
    let usual = NextTry::At { time: at(7140), after_hold: true };
    assert_eq!(next_try(first, &soon, at(4800)), usual);
}

#[test]
fn without_an_access_token_the_hold_is_short() {
    assert_eq!(tries(Some(0), None)[..2], [60, 120]);
    assert_eq!(tries(Some(0), Some(-5))[..1], [60]);
}

#[test]
fn the_hold_of_a_short_token_ends_in_its_last_tenth() {
    let terms = Terms {
        reuse_grace: Some(Duration::ZERO),
        rotates: true,
        access_issued_at: Some(at(0)),
        access_expires_at: Some(at(50)),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let next = next_try(Unresolved::first(at(40)), &terms, at(40));
    assert_eq!(next, NextTry::At { time: at(45), after_hold: true });
}

#[test]
fn a_window_missed_while_nobody_ran_is_not_used() {
    let terms = Terms {
        reuse_grace: Some(Duration::from_secs(60)),
        rotates: true,
        access_issued_at: Some(at(0)),
        access_expires_at: Some(at(3600)),
        refresh_life: None,
        earliest: None,
        asked_at: None,
    };
    let next = next_try(Unresolved::first(at(0)), &terms, at(500));
    assert_eq!(next, NextTry::At { time: at(3540), after_hold: true });
}

/// A server whose refresh tokens live 1800 s, and access tokens 300 s; the request at 200 s was the first to fail.
fn of_a_session() -> Terms {
    Terms {
        reuse_grace: Some(Duration::ZERO),
        rotates: true,
        access_issued_at: Some(at(0)),
        access_expires_at: Some(at(300)),
        refresh_life: Some(Life { since: at(0), until: at(1800) }),
        earliest: None,
        asked_at: None,
    }
}

#[test]
fn a_refresh_token_is_tried_while_it_lives() {
    let (terms, mut unresolved) = (of_a_session(), Unresolved::first(at(200)));
    let mut times = vec![];
    while let NextTry::At { time, after_hold } = next_try(unresolved, &terms, unresolved.last_at) {
        times.push(time.as_second());
        unresolved = Unresolved::after(Some(unresolved), time, after_hold);
    }
    assert_eq!(times[..6], [270, 330, 450, 585, 706, 815]);
    assert!(times.iter().filter(|time| **time < 1800).count() > 20, "{times:?}");
    assert!(times.windows(2).all(|two| two[1] - two[0] >= 10), "{times:?}");
}

#[test]
fn in_a_long_window_too() {
    const DAY: i64 = 86_400;
    let window = Duration::from_secs(720 * 3600);
    let life = Life { since: at(0), until: at(2 * DAY) };
    let terms = Terms { reuse_grace: Some(window), refresh_life: Some(life), ..of_a_session() };
    let mut unresolved = Unresolved::after(Some(Unresolved::first(at(0))), at(200), true);
    let mut last = 0;
    while let NextTry::At { time, after_hold } = next_try(unresolved, &terms, unresolved.last_at) {
        if time.as_second() >= 2 * DAY {
            break;
        }
        last = time.as_second();
        unresolved = Unresolved::after(Some(unresolved), time, after_hold);
    }
    assert!((2 * DAY - 60..2 * DAY).contains(&last), "{last}");
}

#[test]
fn a_hold_ends_before_the_refresh_token_does() {
    // The refresh token ends with the access token, or is the access token.
    let terms = |days: i64| Terms {
        access_expires_at: Some(at(60 * 86_400)),
        refresh_life: Some(Life { since: at(0), until: at(days * 86_400) }),
        ..of_a_session()
    };
    let ends = |days, last| match next_try(Unresolved::first(at(last)), &terms(days), at(last)) {
        NextTry::At { time, after_hold: true } => time.as_second(),
        other => panic!("{other:?}"),
    };
    assert_eq!(ends(60, 40 * 86_400), 59 * 86_400);
    assert_eq!(ends(5, 3 * 86_400), 5 * 86_400 - 43_200);
    let late = 60 * 86_400 - 3600;
    assert_eq!(ends(60, late), late + 1, "there is no time to lose");
    // It was told wrong: the access token works on.
    assert_eq!(ends(5, 40 * 86_400), 60 * 86_400 - 60);
}

#[test]
fn what_a_human_asked_for_is_not_repeated_while_the_access_token_works() {
    let terms = Terms { access_expires_at: Some(at(20_000)), refresh_life: None, ..of_a_session() };
    let asked = |at_: i64| Unresolved::after(Some(Unresolved::first(at(100))), at(at_), true);
    let next = |at_: i64| next_try(asked(at_), &terms, at(at_));
    assert_eq!(next(1000), NextTry::At { time: at(4600), after_hold: true });
    assert_eq!(next(19_000), NextTry::At { time: at(20_000), after_hold: true });
    assert_eq!(next(20_000), NextTry::At { time: at(20_060), after_hold: true });
}

#[test]
fn a_window_presses_in_its_last_hour() {
    let pressing = |grace, now| {
        let terms = Terms { reuse_grace: Some(Duration::from_secs(grace)), ..of_a_session() };
        terms.presses_after(at(0), at(now)).map(|after| after.as_secs())
    };
    assert_eq!([0, 47, 48].map(|now| pressing(60, now)), [Some(0), Some(0), None]);
    let of_ten_hours = [0, 25_000, 25_200, 28_799, 28_800].map(|now| pressing(36_000, now));
    assert_eq!(of_ten_hours, [Some(25_200), Some(200), Some(0), Some(0), None]);
    assert_eq!(pressing(0, 0), None);
}
