//! Silences themselves: what they must be like, how they are edited, how they end.

use fanfare::{
    dispatch::Settings,
    publish::{SilenceDraft, SilenceError, SilenceId, SilenceState},
};
use uuid::Uuid;

use super::{
    quiet::draft,
    world::{BEGIN, World, at, settings},
};

const HOUR: i64 = 3_600;

fn world() -> World {
    World::new(&["a"])
}

/// Where the silence stands, its start and its end.
fn state(world: &World, id: SilenceId) -> (SilenceState, i64, i64) {
    let silence = world.state.silence(id).expect("it is kept");
    let state = silence.state(at(world.now));
    (state, silence.starts_at.as_second() - BEGIN, silence.ends_at.as_second() - BEGIN)
}

fn edited(id: SilenceId, draft: SilenceDraft) -> SilenceDraft {
    SilenceDraft { id: Some(id), ..draft }
}

const X: &[(&str, &str, &str)] = &[("alertname", "=", "x")];
const LONG: (i64, i64) = (BEGIN, BEGIN + HOUR);

#[test]
fn what_is_wrong_is_said_in_alertmanagers_words() {
    let mut world = world();
    for (conditions, times, text) in [
        (X, (BEGIN + 9, BEGIN + 9), "Failed to create silence: start time must be before end time"),
        (X, (BEGIN + 9, BEGIN + 8), "Failed to create silence: start time must be before end time"),
        (X, (BEGIN - 9, BEGIN - 1), "Failed to create silence: end time can't be in the past"),
        (&[][..], LONG, "invalid silence: matcher set 0 is empty"),
        (
            &[("a", "=", "b"), ("", "=", "x")],
            LONG,
            r#"invalid silence: invalid label matcher 1 in set 0: invalid label name """#,
        ),
        (
            &[("a", "=~", "x("), ("b", "=", "x")],
            LONG,
            r#"invalid silence: invalid label matcher 0 in set 0: invalid regular expression "x(": "#,
        ),
        (
            &[("a", "=", ""), ("b", "=~", ".*")],
            LONG,
            "invalid silence: matcher set 0: at least one matcher must not match the empty string",
        ),
    ] {
        let error = world.set(draft(conditions, times)).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    assert!(world.state.silences().is_empty() && world.disk.silences.is_empty());
    for conditions in [&[("a", "!=", "b")][..], &[("a", "!~", ".*")], &[("ä ö", "=~", "b?c")]] {
        world.set(draft(conditions, LONG)).unwrap();
    }
}

#[test]
fn a_silence_that_would_begin_in_the_past_begins_now() {
    let mut world = world();
    for from in [BEGIN - 100, -62_135_596_800] {
        let id = world.set(draft(X, (from, BEGIN + 9))).unwrap();
        assert_eq!(state(&world, id), (SilenceState::Active, 0, 9));
        let silence = world.state.silence(id).unwrap();
        assert_eq!((silence.updated_at, &*silence.created_by), (at(BEGIN), "somebody"));
        assert_eq!(world.disk.silences[&id], silence, "it is on disk as it is");
    }
    let id = world.set(draft(X, (BEGIN + 5, BEGIN + 9))).unwrap();
    assert_eq!(state(&world, id), (SilenceState::Pending, 5, 9));
    world.wait(5);
    assert_eq!(state(&world, id), (SilenceState::Active, 5, 9));
    world.wait(4);
    assert_eq!(state(&world, id), (SilenceState::Expired, 5, 9));
}

#[test]
fn an_edit_that_rewrites_no_history_keeps_the_id() {
    let mut world = world();
    let id = world.set(draft(X, LONG)).unwrap();
    world.wait(60);
    let longer = SilenceDraft { comment: "longer".into(), ..draft(X, (BEGIN, BEGIN + 9 * HOUR)) };
    assert_eq!(world.set(edited(id, longer)), Ok(id));
    assert_eq!(state(&world, id), (SilenceState::Active, 0, 9 * HOUR));
    let silence = world.state.silence(id).unwrap();
    assert_eq!((&*silence.comment, silence.updated_at), ("longer", at(BEGIN + 60)));
    let pending = world.set(draft(X, (BEGIN + 99, BEGIN + HOUR))).unwrap();
    let other = edited(pending, draft(X, (BEGIN + 80, BEGIN + 90)));
    assert_eq!(world.set(other), Ok(pending));
    assert_eq!(state(&world, pending), (SilenceState::Pending, 80, 90));
    assert_eq!(world.state.silences().len(), 2);
}

#[test]
fn any_other_edit_ends_the_old_silence_and_begins_a_new_one() {
    const Y: &[(&str, &str, &str)] = &[("alertname", "=~", "x")];
    for (conditions, (from, to)) in [(Y, LONG), (X, (BEGIN + 1, BEGIN + HOUR))] {
        let mut world = world();
        let id = world.set(draft(X, LONG)).unwrap();
        world.wait(60);
        let new = world.set(edited(id, draft(conditions, (from, to)))).unwrap();
        assert_ne!(new, id);
        assert_eq!(state(&world, id), (SilenceState::Expired, 0, 60));
        assert_eq!(state(&world, new), (SilenceState::Active, 60, HOUR));
        let again = world.set(edited(id, draft(X, (BEGIN + 60, BEGIN + HOUR)))).unwrap();
        assert_eq!(state(&world, id), (SilenceState::Expired, 0, 60), "over is over");
        assert_eq!(state(&world, again), (SilenceState::Active, 60, HOUR));
        assert_eq!(world.disk.silences.len(), 3);
    }
}

#[test]
fn a_pending_silence_that_shall_begin_in_the_past_makes_way_for_a_new_one() {
    let mut world = world();
    let id = world.set(draft(X, (BEGIN + 99, BEGIN + HOUR))).unwrap();
    world.wait(60);
    let new = world.set(edited(id, draft(X, (BEGIN + 59, BEGIN + HOUR)))).unwrap();
    assert_eq!(state(&world, id), (SilenceState::Expired, 60, 60));
    assert_eq!(state(&world, new), (SilenceState::Active, 60, HOUR));
}

#[test]
fn a_silence_ends_once() {
    let mut world = world();
    let ids = [LONG, (BEGIN + 99, BEGIN + HOUR)].map(|times| world.set(draft(X, times)).unwrap());
    world.wait(60);
    for id in ids {
        world.unsilence(id);
    }
    let ended = ids.map(|id| state(&world, id));
    assert_eq!(ended, [0, 60].map(|start| (SilenceState::Expired, start, 60)));
    world.wait(9);
    let writes = world.disk.writes;
    for id in ids {
        world.unsilence(id);
    }
    assert_eq!(ids.map(|id| state(&world, id)), ended);
    assert_eq!(world.disk.writes, writes, "nothing changed");
    let unknown = SilenceId(Uuid::from_u128(99));
    let error = world.state.expire_silence(unknown, world.moment()).unwrap_err();
    assert_eq!((error.to_string().as_str(), error), ("silence not found", SilenceError::NotFound));
    let error = world.set(edited(unknown, draft(X, LONG))).unwrap_err();
    assert_eq!(error, SilenceError::NotFound);
}

#[test]
fn a_silence_is_kept_for_five_days_after_its_end() {
    let mut world = world();
    let id = world.silence("x", HOUR);
    world.wait(HOUR + 120 * HOUR - 1);
    assert_eq!(state(&world, id).0, SilenceState::Expired);
    assert_eq!(world.state.silence_counts(), [0, 0, 1]);
    world.restart();
    world.wait(1);
    assert_eq!((world.state.silence(id), world.state.silence_counts()), (None, [0; 3]));
    assert!(world.disk.silences.is_empty());
}

#[test]
fn regular_expressions_are_few() {
    let mut world = world();
    let conditions = |count| vec![("alertname", "=~", "x.+"); count];
    assert!(world.set(draft(&conditions(64), LONG)).is_ok());
    let error = world.set(draft(&conditions(65), LONG)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid silence: matcher set 0 has 65 regular expressions, more than 64: join values with |"
    );
    assert!(world.set(draft(&vec![("alertname", "=", "x"); 65], LONG)).is_ok());
}

#[test]
fn number_and_size_are_bounded() {
    let mut world = world();
    let large = SilenceDraft { comment: "x".repeat(65_398).into(), ..draft(X, LONG) };
    world.set(large.clone()).unwrap();
    let error =
        world.set(SilenceDraft { comment: "x".repeat(65_399).into(), ..large }).unwrap_err();
    let text = "silence exceeded maximum size: 65537 bytes (limit: 65536 bytes)";
    assert_eq!(error.to_string(), text);
    let mut last = None;
    for at in 1..10_000 {
        last = Some(world.silence(&format!("alert {at}"), HOUR));
    }
    let error = world.set(draft(X, LONG)).unwrap_err().to_string();
    assert_eq!(error, "exceeded maximum number of silences: 10000 (limit: 10000)");
    let kept =
        edited(last.unwrap(), draft(&[("alertname", "=", "alert 9999")], (BEGIN, BEGIN + 9)));
    assert_eq!(world.set(kept), Ok(last.unwrap()), "an edit in place needs no room");
}

#[test]
fn silences_of_very_many_alerts_are_bounded_by_the_memory() {
    let settings = Settings { max_bytes: 2 << 20, ..settings() };
    let mut world = World::with(settings, &["a"]);
    for one in 0..1_000 {
        world.fires_on(&format!("alert {one}"), BEGIN);
    }
    let all = draft(&[("alertname", "=~", "alert .*")], LONG);
    let mut made = Vec::new();
    let error = loop {
        assert!(made.len() < 100, "what alerts and silences are to each other takes room, too");
        match world.set(all.clone()) {
            Ok(id) => made.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error, SilenceError::NoMemory);
    assert!(made.len() > 3, "{}", made.len());
    assert!(world.set(draft(X, LONG)).is_ok(), "a silence of few alerts takes little");
    let later = SilenceDraft { ends_at: at(BEGIN + 2 * HOUR), ..all.clone() };
    assert_eq!(world.set(edited(made[0], later)), Ok(made[0]), "what it keeps quiet is booked");
    let instead = SilenceDraft { starts_at: at(BEGIN - 1), ..all.clone() };
    made[0] = world.set(edited(made[0], instead)).unwrap();
    assert_eq!(world.set(all.clone()), Err(SilenceError::NoMemory));
    world.unsilence(made[1]);
    assert!(world.set(all).is_ok(), "a silence that ends makes room");
}
