use super::*;

fn target(name: &str) -> TargetKey {
    TargetKey::new("sre", name)
}

fn secret(name: &str) -> MaterialId {
    MaterialId { kind: MaterialKind::Secret, namespace: "sre".into(), name: name.into() }
}

fn naming(name: &str, keys: &[&str]) -> Wanted {
    [(secret(name), keys.iter().map(|key| (*key).to_owned()).collect())].into()
}

fn content(pairs: &[(&str, &str)]) -> Material {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

fn find(materials: &Materials, key: &str) -> Result<Vec<u8>, Missing> {
    let from = SecretKeyRef { name: "token".into(), key: key.into() };
    materials.lookup(&"sre".into()).secret(&from).map(<[u8]>::to_vec)
}

/// One target that names key `url` of Secret `token`, whose first read is under way.
fn reading(now: Instant) -> Materials {
    let mut materials = Materials::new(now);
    materials.want(&target("a"), naming("token", &["url"]), now);
    assert_eq!(materials.take_due(now), Ok(secret("token")));
    materials
}

fn read(materials: &mut Materials, result: Result<Material, ReadError>, now: Instant) -> Vec<News> {
    materials.arrived(&secret("token"), result, now, 0.5).0
}

#[test]
fn a_missing_secret_is_retried_after_1_2_4_8_15_15_seconds() {
    let mut now = Instant::now();
    let mut materials = reading(now);
    for seconds in [1, 2, 4, 8, 15, 15] {
        read(&mut materials, Err(ReadError::NotFound), now);
        let due = materials.next_due().unwrap();
        assert_eq!(due - now, Duration::from_secs(seconds));
        assert_eq!(materials.take_due(now), Err(Some(due)));
        now = due;
        assert_eq!(materials.take_due(now), Ok(secret("token")));
    }
    assert_eq!(find(&materials, "url"), Err(Missing::NotFound));
}

#[test]
fn a_read_secret_is_read_again_within_a_minute() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    let due = materials.next_due().unwrap() - now;
    assert!(due <= Duration::from_secs(55), "{due:?}");
}

#[test]
fn only_named_keys_are_kept() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u"), ("other", "o")])), now);
    assert_eq!(find(&materials, "url").unwrap(), b"u");
    assert_eq!(find(&materials, "other"), Err(Missing::Unavailable), "nobody asked for it");
    materials.want(&target("a"), naming("token", &["url", "other"]), now);
    assert!(!materials.settled(&target("a")));
    assert_eq!(materials.take_due(now), Ok(secret("token")));
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    assert!(materials.settled(&target("a")));
    assert_eq!(find(&materials, "other"), Err(Missing::KeyMissing));
}

#[test]
fn rotation_is_news_only_to_the_targets_that_name_the_key() {
    let now = Instant::now();
    let mut materials = reading(now);
    materials.want(&target("b"), naming("token", &["other"]), now);
    let both = content(&[("url", "u"), ("other", "o")]);
    assert_eq!(read(&mut materials, Ok(both.clone()), now).len(), 2);
    assert_eq!(read(&mut materials, Ok(both), now), []);
    let news = read(&mut materials, Ok(content(&[("url", "v"), ("other", "o")])), now);
    assert_eq!(news, [News { target: target("a"), rotated: true }]);
    assert_eq!(find(&materials, "url").unwrap(), b"v");
}

#[test]
fn what_was_read_stays_in_use_while_there_is_no_answer() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    assert_eq!(read(&mut materials, Err(ReadError::Unavailable), now), []);
    assert_eq!(find(&materials, "url").unwrap(), b"u");
    let news = read(&mut materials, Err(ReadError::NotFound), now);
    assert_eq!(news, [News { target: target("a"), rotated: false }]);
    assert_eq!(find(&materials, "url"), Err(Missing::NotFound));
}

#[test]
fn a_forbidden_secret_stays_in_use_for_the_grace_only() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    assert_eq!(read(&mut materials, Err(ReadError::Forbidden), now), []);
    assert_eq!(find(&materials, "url").unwrap(), b"u");
    let later = now + FORBIDDEN_GRACE;
    assert_eq!(read(&mut materials, Err(ReadError::Forbidden), later).len(), 1);
    assert_eq!(find(&materials, "url"), Err(Missing::Forbidden));
}

#[test]
fn a_secret_that_could_not_be_read_is_not_settled() {
    let now = Instant::now();
    let mut materials = reading(now);
    assert!(!materials.settled(&target("a")));
    read(&mut materials, Err(ReadError::Unavailable), now);
    assert!(!materials.settled(&target("a")));
    assert_eq!(find(&materials, "url"), Err(Missing::Unavailable));
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    assert!(materials.settled(&target("a")));
}

#[test]
fn a_request_during_a_read_is_served_after_it() {
    let now = Instant::now();
    let mut materials = reading(now);
    materials.refresh(&target("a"), now);
    assert_eq!(materials.next_due(), None);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    assert_eq!(materials.take_due(now), Ok(secret("token")));
}

#[test]
fn requests_are_served_at_once_but_not_in_a_storm() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    let later = now + Duration::from_secs(10);
    materials.refresh(&target("a"), later);
    assert_eq!(materials.take_due(later), Ok(secret("token")));
    read(&mut materials, Ok(content(&[("url", "u")])), later);
    for _ in 0..100 {
        materials.refresh(&target("a"), later);
    }
    assert_eq!(materials.take_due(later), Err(Some(later + ASKED_GAP)));
}

#[test]
fn first_reads_share_a_limit_and_repeated_ones_a_budget_too() {
    let now = Instant::now();
    let mut materials = Materials::new(now);
    for n in 0..300 {
        let name = format!("s{n}");
        materials.want(&target(&name), naming(&name, &["k"]), now);
    }
    assert_eq!(read_all(&mut materials, now), 300);
    let later = now + Duration::from_mins(1);
    assert_eq!(read_all(&mut materials, later), 200);
    materials.want(&target("new"), naming("new", &["k"]), later);
    assert_eq!(materials.take_due(later), Ok(secret("new")), "a first read goes first");
}

/// Reads everything that is due and allowed; answers how much that was.
fn read_all(materials: &mut Materials, now: Instant) -> usize {
    let mut taken = 0;
    while let Ok(first) = materials.take_due(now) {
        let mut batch = vec![first];
        while let Ok(id) = materials.take_due(now) {
            batch.push(id);
        }
        assert!(batch.len() <= MAX_READS);
        taken += batch.len();
        for id in batch {
            materials.arrived(&id, Ok(content(&[("k", "v")])), now, 0.5);
        }
    }
    taken
}

#[test]
fn what_no_target_names_is_forgotten() {
    let now = Instant::now();
    let mut materials = reading(now);
    read(&mut materials, Ok(content(&[("url", "u")])), now);
    materials.forget(&target("a"));
    assert!(materials.entries.is_empty());
    assert_eq!(materials.next_due(), None);
}

#[test]
fn a_first_read_that_was_asked_for_comes_before_others() {
    let start = Instant::now();
    let mut materials = Materials::new(start);
    let now = start + Duration::from_secs(1);
    for name in ["a", "b", "c"] {
        materials.want(&target(name), naming(name, &["key"]), now);
    }
    materials.refresh(&target("c"), now);
    let order: Vec<_> = (0..3).map(|_| materials.take_due(now).unwrap().name.to_string()).collect();
    assert_eq!(order, ["c", "a", "b"]);
}
