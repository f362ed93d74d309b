//! What one route owes beyond the rate limit, as one message.

use std::sync::Arc;

use fanfare::{
    alert::{Notification, Status},
    dispatch::{Settled, Ticket, Verdict},
    publish::Source,
};

use super::world::{BEGIN, FAILED, World, alert, key};

fn world() -> World {
    let mut world = World::new(&["a"]);
    world.edit("a", |one| one.limits.digest = true);
    world
}

/// The next message for `a`: what is owed, summed up.
fn take(world: &mut World, most: usize) -> Option<(Arc<Notification>, Vec<Ticket>)> {
    let (notification, ticket) = world.take("a")?;
    let verdict = world.verdicts.get("rest").copied().unwrap_or(Verdict::Send);
    let now = world.moment();
    let part = (notification, ticket);
    let (digest, tickets) = world.state.next_digest(part, most, now, &mut |_, _| verdict);
    assert_eq!(digest.digest, tickets.len() > 1);
    Some((digest, tickets))
}

fn settle(world: &mut World, tickets: Vec<Ticket>, outcome: Settled) {
    for ticket in tickets {
        world.settle(ticket, outcome);
    }
    world.commit();
}

fn names(notification: &Notification) -> Vec<String> {
    let name = |member: &fanfare::alert::Member| {
        let over = if member.status == Status::Resolved { "-" } else { "" };
        format!("{}{over}", member.alert.label("alertname"))
    };
    notification.members.iter().map(name).collect()
}

#[test]
fn everything_in_it_is_told_by_its_own_ticket() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.told();
    world.fires_on("y", BEGIN);
    world.fires_on("z", BEGIN);
    world.ends("x", BEGIN);
    let (digest, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&digest), ["y", "z", "x-"], "problems first");
    assert_eq!(digest.status, Status::Firing);
    assert!(world.take("a").is_none(), "nothing else is in flight");
    settle(&mut world, tickets, Settled::Delivered);
    assert!(world.told().is_empty());
    world.restart();
    assert!(world.told().is_empty());
    world.ends("y", BEGIN);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn a_failed_one_is_told_again_under_the_same_id() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    let (first, tickets) = take(&mut world, 100).unwrap();
    settle(&mut world, tickets, FAILED);
    assert!(world.take("a").is_none(), "it waits");
    world.wait(10);
    let (again, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(first.id, again.id);
    settle(&mut world, tickets, FAILED);
    world.wait(10);
    assert_eq!(world.told(), ["a firing", "a firing"], "or each one on its own");
}

#[test]
fn what_changed_meanwhile_is_told_as_it_is_now() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    let (_, tickets) = take(&mut world, 100).unwrap();
    world.ends("x", BEGIN);
    settle(&mut world, tickets, Settled::Delivered);
    assert_eq!(world.told(), ["a resolved"]);
}

#[test]
fn it_holds_so_much_and_the_rest_is_next() {
    let mut world = world();
    for name in ["x1", "x2", "x3", "x4", "x5"] {
        world.fires_on(name, BEGIN);
    }
    let (digest, tickets) = take(&mut world, 3).unwrap();
    assert_eq!(names(&digest), ["x1", "x2", "x3"]);
    settle(&mut world, tickets, Settled::Delivered);
    let (digest, tickets) = take(&mut world, 3).unwrap();
    assert_eq!(names(&digest), ["x4", "x5"]);
    settle(&mut world, tickets, Settled::Delivered);
}

#[test]
fn it_takes_so_many_bytes() {
    let mut world = world();
    let text = "x".repeat(200_000);
    for nth in 0..10 {
        let mut large = alert(&format!("x{nth}"), BEGIN, BEGIN + 100_000, BEGIN);
        large.annotations = fanfare::alert::Labels::from_iter([("summary", text.as_str())]);
        world.accept(large, Source::V2);
    }
    let (digest, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&digest).len(), 5, "a megabyte");
    settle(&mut world, tickets, Settled::Delivered);
    let (rest, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&rest)[0], "x5", "what did not fit in is next");
    settle(&mut world, tickets, Settled::Delivered);
}

#[test]
fn other_routes_keep_their_place() {
    let mut world = world();
    let matcher =
        |value: &str| serde_json::json!({"matcherExpr": format!("{{alertname=~\"{value}.*\"}}")});
    let recipients = world.routes["r"].recipients.clone();
    world.route("s", matcher("s"), &["a"]);
    world.routes.get_mut("s").unwrap().recipients = recipients;
    world.routes.get_mut("r").unwrap().spec = matcher("r");
    world.configure();
    for name in ["r1", "s1", "s2", "r2", "s3"] {
        world.fires_on(name, BEGIN);
    }
    let (digest, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&digest), ["r1", "r2"]);
    settle(&mut world, tickets, Settled::Delivered);
    let (digest, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&digest), ["s1", "s2", "s3"]);
    settle(&mut world, tickets, Settled::Delivered);
    assert!(world.told().is_empty());
}

#[test]
fn what_health_holds_back_is_not_in_it() {
    let mut world = world();
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    world.verdicts.insert("rest".into(), Verdict::Hold);
    let (single, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&single), ["x"]);
    settle(&mut world, tickets, Settled::Delivered);
    assert!(world.take("a").is_none(), "y is held");
    world.state.recovered(&[key("a")].into());
    assert_eq!(world.told(), ["a firing"]);
}

#[test]
fn a_target_that_takes_none_gets_them_one_by_one() {
    let mut world = World::new(&["a"]);
    world.fires_on("x", BEGIN);
    world.fires_on("y", BEGIN);
    let (single, tickets) = take(&mut world, 100).unwrap();
    assert_eq!(names(&single), ["x"]);
    settle(&mut world, tickets, Settled::Delivered);
}
