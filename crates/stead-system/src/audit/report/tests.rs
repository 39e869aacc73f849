use super::*;

fn hostile(verdict: Verdict) -> Finding {
    let bad = "\x1b]0;owned\x07\x1b[2J\r\n\u{202e}evil\u{200b}\0".to_owned() + &"x".repeat(1 << 20);
    Finding {
        id: bad.clone(),
        title: bad.clone(),
        severity: Severity::High,
        verdict,
        evidence: bad.clone(),
        fix: Some(bad.clone()),
        mends: vec![Action::Leave { user: bad.clone(), group: bad }],
    }
}

#[test]
fn hostile_evidence_is_harmless_on_a_terminal() {
    let findings = vec![hostile(Verdict::Fail), hostile(Verdict::Unknown), hostile(Verdict::Pass)];
    let mut report = Report::new("\x1b[31mbox", "de\u{9b}v", findings);
    report.mended = vec![Mended {
        id: "\x07".into(),
        action: Action::Start { unit: "\x1b[A".into() },
        failed: Some("\x1b[B".into()),
    }];
    for width in [0, 40, 200] {
        let text = report.plain(width, false, true);
        assert!(text.len() < 20_000);
        let bad = |letter: char| {
            letter != '\n' && (letter.is_control() || "\u{202e}\u{200b}".contains(letter))
        };
        assert!(!text.contains(bad), "{text:?}");
    }
    let colored = report.plain(80, true, true);
    let colours = ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"];
    let left = colours.iter().fold(colored, |text, colour| text.replace(colour, ""));
    assert!(!left.contains('\x1b'));
}

#[test]
fn the_score_is_what_passed_by_weight() {
    let of = |severity, verdict| Finding { severity, ..hostile(verdict) };
    let findings =
        vec![of(Severity::Critical, Verdict::Pass), of(Severity::Critical, Verdict::Fail)];
    let report = Report::new("a", "b", findings);
    assert_eq!((report.score, report.status()), (50, 3));
    let findings = vec![of(Severity::Medium, Verdict::Pass), of(Severity::Low, Verdict::Unknown)];
    let report = Report::new("a", "b", findings);
    assert_eq!((report.score, report.status()), (75, 0));
    assert_eq!(Report::new("a", "b", Vec::new()).score, 100);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}
