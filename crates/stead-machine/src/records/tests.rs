use super::*;
use std::collections::BTreeSet;

fn records() -> (tempfile::TempDir, Records) {
    let folder = tempfile::tempdir().unwrap();
    let records = Records::open(folder.path()).unwrap();
    (folder, records)
}

#[test]
fn a_claim_is_there_and_whole() {
    let (_folder, records) = records();
    let made = records.claim("box", Claim::default()).unwrap();
    assert_eq!(records.get("box").unwrap(), Some(made.clone()));
    assert_eq!(made.wanted.number, 1);
    assert_eq!(made.wanted.id.len(), 32);
    assert!(made.wanted.id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    assert_eq!(made.wanted.state, "box");
    assert_eq!(made.status, Status::Making);
    let again = records.claim("box", Claim::default()).unwrap_err();
    assert_eq!(again.to_string(), "there is a machine box already");
}

#[test]
fn the_lowest_number_is_given_again() {
    let (_folder, records) = records();
    let one = records.claim("one", Claim::default()).unwrap();
    records.claim("two", Claim::default()).unwrap();
    records.remove(&one).unwrap();
    assert_eq!(records.claim("three", Claim::default()).unwrap().wanted.number, 1);
    assert_eq!(records.claim("four", Claim::default()).unwrap().wanted.number, 3);
}

#[test]
fn a_damaged_record_is_told_and_keeps_its_number() {
    let (_folder, records) = records();
    records.claim("one", Claim::default()).unwrap();
    records.claim("two", Claim::default()).unwrap();
    std::fs::write(records.file("one"), b"{\"name\":").unwrap();
    std::fs::copy(records.file("two"), records.folder("two").join("copy")).unwrap();
    std::fs::create_dir(records.folder("three")).unwrap();
    std::fs::copy(records.file("two"), records.file("three")).unwrap();
    let listing = records.list().unwrap();
    assert_eq!(listing.records.keys().collect::<Vec<_>>(), ["two"]);
    assert_eq!(listing.damaged.keys().collect::<Vec<_>>(), ["one", "three"]);
    assert!(listing.damaged["three"].why.contains("the record of \"two\""));
    assert!(records.find("one").unwrap_err().to_string().contains("damaged"));
    assert!(records.claim("one", Claim::default()).is_err());
    assert_eq!(records.claim("four", Claim::default()).unwrap().wanted.number, 3);
}

#[test]
fn a_claim_cut_short_gives_its_number_back() {
    let (_folder, records) = records();
    std::fs::write(records.machines.join(".numbers/1"), "gone").unwrap();
    std::fs::create_dir(records.folder("gone")).unwrap();
    std::fs::write(records.folder("gone").join("machine.json.new"), "{").unwrap();
    assert_eq!(records.claim("box", Claim::default()).unwrap().wanted.number, 1);
    assert!(records.list().unwrap().damaged.is_empty());
}

#[test]
fn two_who_claim_at_once_never_get_one_number() {
    let (folder, _) = records();
    let numbers: Vec<u32> = std::thread::scope(|scope| {
        let claim = |thread: usize| {
            let records = Records::open(folder.path()).unwrap();
            (0..20)
                .map(|n| records.claim(&format!("m{thread}-{n}"), Claim::default()).unwrap())
                .map(|r| r.wanted.number)
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..6).map(|t| scope.spawn(move || claim(t))).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 120);
    assert_eq!(numbers.iter().max(), Some(&120));
}

#[test]
fn names_are_names() {
    let (_folder, records) = records();
    let long = "a".repeat(64);
    for bad in ["", "..", "a/b", ".locks", "a b", "ä", &long] {
        assert!(matches!(records.claim(bad, Claim::default()), Err(Error::Name(_))), "{bad}");
        assert_eq!(records.get(bad).unwrap(), None);
    }
    assert!(
        records.claim("host", Claim::default()).unwrap_err().to_string().contains("this computer")
    );
}

#[test]
fn a_name_nearly_right_is_named() {
    let (_folder, records) = records();
    records.claim("scratch", Claim::default()).unwrap();
    let error = records.find("scrach").unwrap_err();
    assert_eq!(error.to_string(), "there is no machine scrach; did you mean scratch?");
    assert_eq!(records.find("zz").unwrap_err().to_string(), "there is no machine zz");
}
