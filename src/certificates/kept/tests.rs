use super::*;

const SPANS: Spans = Spans {
    authority: Duration::from_secs(900),
    leaf: Duration::from_secs(300),
    overlap: Duration::from_secs(60),
};

fn names() -> Vec<String> {
    issue::names("lagscale", "lagscale")
}

/// A whole second: certificates have no smaller ones.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn step(kept: &mut Kept, trusted: bool, seconds: u64) -> Option<Step> {
    let next = kept.next(&names(), trusted, SPANS, at(seconds)).unwrap();
    next.map(|(next, step)| {
        *kept = next;
        step
    })
}

#[test]
fn a_ca_is_replaced_in_three_steps_and_no_certificate_is_served_that_is_not_trusted() {
    let mut kept = Kept::default();
    assert_eq!(step(&mut kept, false, 0), Some(Step::Begin));
    assert_eq!(step(&mut kept, false, 199), None);
    assert_eq!(step(&mut kept, false, 201), Some(Step::Issue));
    assert_eq!(step(&mut kept, true, 300), None);
    assert_eq!(step(&mut kept, true, 402), Some(Step::Issue));
    let old = kept.clone();
    assert_eq!(step(&mut kept, true, 601), Some(Step::Trust));
    assert_eq!(pems(&kept.bundle).len(), 2);
    assert_eq!(kept.certificate, old.certificate, "still the old one's");
    let is_trusted_by = |bundle: &str| pems(bundle).contains(&pems(&kept.bundle)[0]);
    assert!(!is_trusted_by(&old.bundle) && is_trusted_by(&kept.bundle));
    assert_eq!(step(&mut kept, true, 660), None, "a moment for all to know");
    assert_eq!(step(&mut kept, false, 680), None, "somebody was not told");
    assert_eq!(step(&mut kept, true, 680), Some(Step::Issue));
    assert_ne!(kept.certificate, old.certificate);
    assert!(is_signed_by(&kept.certificate, &pems(&kept.bundle)[0]));
    assert_eq!(step(&mut kept, true, 739), None);
    assert_eq!(step(&mut kept, true, 740), Some(Step::Drop));
    assert_eq!(pems(&kept.bundle).len(), 1);
    assert_eq!(step(&mut kept, true, 741), None);
}

#[test]
fn what_is_of_no_use_is_made_anew_at_once_and_nothing_else_is_touched() {
    let mut good = Kept::default();
    step(&mut good, false, 0);
    let spoilt = |change: fn(&mut Kept)| {
        let mut kept = good.clone();
        change(&mut kept);
        let done = step(&mut kept, false, 1);
        (done, kept)
    };
    let (done, kept) = spoilt(|k| k.certificate = "no PEM".into());
    assert_eq!(
        (done, kept.bundle == good.bundle),
        (Some(Step::Issue), true)
    );
    let (done, _) = spoilt(|k| k.key.clear());
    assert_eq!(done, Some(Step::Issue));
    // Somebody else's files, whose CA key was kept elsewhere: trusted on, and replaced step by step.
    let (done, kept) = spoilt(|k| k.ca_key.clear());
    assert_eq!(done, Some(Step::Trust));
    assert_eq!(kept.certificate, good.certificate);
    let (done, _) = spoilt(|k| k.bundle.clear());
    assert_eq!(done, Some(Step::Begin));
    let other = issue::names("other", "lagscale");
    let next = good.next(&other, true, SPANS, at(1)).unwrap();
    assert_eq!(next.map(|n| n.1), Some(Step::Issue), "for other names");
    let mut late = good.clone();
    assert_eq!(step(&mut late, true, 901), Some(Step::Begin), "all is over");
}

#[test]
fn a_secret_holds_it_as_it_is_and_debug_tells_nothing_of_it() {
    let mut kept = Kept::default();
    step(&mut kept, false, 0);
    assert!(kept == Kept::read(&kept.write()));
    assert!(!format!("{kept:?}").contains("PRIVATE"));
}

#[test]
fn a_pair_of_a_clock_that_was_ahead_is_of_no_use_when_the_clock_is_right_again() {
    let mut kept = Kept::default();
    let ahead = 24 * 3600;
    assert_eq!(step(&mut kept, false, ahead), Some(Step::Begin));
    assert_eq!(
        step(&mut kept, false, 0),
        Some(Step::Begin),
        "its CA is not valid yet"
    );
    let good = kept.clone();
    // Only the leaf: its CA is valid already.
    let ca = pems(&kept.bundle)[0].clone();
    let future = kept
        .issue(&ca, at(ahead * 2), &names(), SPANS, at(ahead))
        .unwrap();
    kept = future.0;
    assert_eq!(step(&mut kept, true, 1), Some(Step::Issue));
    assert_eq!(kept.bundle, good.bundle);
    // A clock that is a little behind takes it.
    let next = kept
        .next(&names(), true, SPANS, at(0) - Duration::from_secs(3800))
        .unwrap();
    assert_eq!(next.map(|n| n.1), None);
}

#[test]
fn webhooks_have_a_secret_path_and_an_older_secret_gets_one() {
    let mut kept = Kept::default();
    step(&mut kept, false, 0);
    assert_eq!(kept.secret_path.len(), 32);
    let mut other = Kept::default();
    step(&mut other, false, 0);
    assert_ne!(kept.secret_path, other.secret_path);
    assert_eq!(Kept::read(&kept.write()), kept);
    for bad in ["", "short", "0123456789abcdef0123456789abcdeX"] {
        let mut older = Kept {
            secret_path: bad.into(),
            ..kept.clone()
        };
        assert_eq!(step(&mut older, true, 1), Some(Step::Hide), "{bad}");
        assert_eq!(older.secret_path.len(), 32);
        assert_eq!(older.certificate, kept.certificate);
        assert_eq!(step(&mut older, true, 1), None);
    }
}
