//! 100,000 alerts owed to ten targets: a start must not take long. As many groups: they must fit.

use std::time::Duration;

use fanfare::{
    alert::{Alert, Labels},
    dispatch::{Next, Settings, Settled, State, Verdict},
    publish::Source,
    routing::{GroupBy, Grouping},
};
use tokio::time::Instant;

use super::world::{BEGIN, Disk, World, alert, key, settings};

const TARGETS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// `FANFARE_ALERTS` alerts; few by default, because this build is slow.
fn number() -> usize {
    std::env::var("FANFARE_ALERTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[test]
fn a_start_with_many_alerts_owes_them_all_at_once() {
    let number = number();
    let settings = Settings { max_alerts: number, max_bytes: usize::MAX, ..settings() };
    let mut world = World::with(settings.clone(), &TARGETS);
    let mut disk = Disk::default();
    for batch in 0..number.div_ceil(1_000) {
        let alerts = (0..1_000).map(|one| Alert {
            labels: Labels::from_iter([
                ("namespace", "prod".to_owned()),
                ("alertname", format!("x{}", batch * 1_000 + one)),
            ]),
            ..alert("x", BEGIN, BEGIN + 3_000, BEGIN)
        });
        let now = world.moment();
        let (_, _owed) = world.state.accept(alerts.collect(), Source::V2, now);
        disk.write(world.state.take_facts());
    }
    let (loaded, now) = (disk.load(), world.moment());
    let begin = Instant::now();
    world.state = State::restore(settings, loaded, [], now);
    let restored = begin.elapsed();
    let owed = world.reconfigure();
    let configured = begin.elapsed();
    assert_eq!(owed.len(), number);
    world.state.enqueue(owed, now);
    let enqueued = begin.elapsed();
    assert_eq!(
        world.state.owed().iter().map(|(_, counts)| counts.ready).sum::<usize>(),
        10 * number
    );
    let begin = Instant::now();
    for target in TARGETS {
        while let Next::Send(_, ticket) =
            world.state.next(&key(target), now, &mut |_, _| Verdict::Send)
        {
            drop(world.state.settle(ticket, Settled::Delivered, now));
        }
    }
    let told = begin.elapsed();
    let facts = world.state.take_facts().len();
    assert_eq!(facts, number, "one record for each alert, whatever the number of targets");
    eprintln!(
        "{number} alerts: restored {restored:?}, configured {configured:?}, enqueued {enqueued:?}, told {told:?}"
    );
    assert!(enqueued < Duration::from_secs(30));
}

/// The budget is 250 MiB for 100,000 alerts in 100,000 groups; what is booked errs upwards.
#[test]
fn many_groups_fit_in_the_memory_that_is_booked_for_them() {
    let number = number();
    let most = 250 * 1024 * 1024 * number / 100_000;
    let settings = Settings { max_alerts: number, max_bytes: most, ..settings() };
    let mut world = World::with(settings.clone(), &["a"]);
    let by = GroupBy::Labels(["alertname".into()].into());
    let (wait, interval) = (Duration::from_secs(30), Duration::from_mins(5));
    world.routes.get_mut("r").unwrap().grouping = Some(Grouping { by, wait, interval }.into());
    world.configure();
    for one in 0..number {
        let labels = [("namespace", "prod".to_owned()), ("alertname", format!("x{one}"))];
        let alert =
            Alert { labels: Labels::from_iter(labels), ..alert("x", BEGIN, BEGIN + 30_000, BEGIN) };
        let accepted = world.accept(alert, Source::V2);
        assert_eq!((accepted.alerts, accepted.refused), (1, 0), "{one} of {number}");
    }
    let begin = Instant::now();
    world.wait(30);
    let (flushed, now) = (begin.elapsed(), world.moment());
    let mut told = 0;
    while let Next::Send(_, ticket) = world.state.next(&key("a"), now, &mut |_, _| Verdict::Send) {
        drop(world.state.settle(ticket, Settled::Delivered, now));
        told += 1;
    }
    assert_eq!(told, number);
    world.commit();
    assert_eq!(world.disk.groups.len(), number);
    let begin = Instant::now();
    let writes = world.disk.writes;
    world.wait(300);
    eprintln!("{number} groups: flushed {flushed:?}, without news {:?}", begin.elapsed());
    assert_eq!(world.disk.writes, writes, "a flush without news costs nothing");
    let disk = world.disk.clone();
    world.restart_from(disk);
    assert!(world.told().is_empty());
}

/// Prints what that costs; a quiet group is woken once in each interval, as Alertmanager does.
#[test]
fn quiet_groups_write_nothing_and_are_told_to_nobody() {
    let number = number();
    let settings = Settings { max_alerts: number, max_bytes: usize::MAX, ..settings() };
    let mut world = World::with(settings, &["a"]);
    let by = GroupBy::Labels(["alertname".into()].into());
    let (wait, interval) = (Duration::from_secs(30), Duration::from_mins(5));
    world.routes.get_mut("r").unwrap().grouping = Some(Grouping { by, wait, interval }.into());
    world.repeat = 24 * 3_600;
    world.configure();
    for begin in (0..number).step_by(1_000) {
        let alerts = (begin..number.min(begin + 1_000)).map(|one| Alert {
            labels: Labels::from_iter([
                ("namespace", "prod".to_owned()),
                ("alertname", format!("x{one}")),
            ]),
            ..alert("x", BEGIN, BEGIN + 100_000_000, BEGIN)
        });
        let now = world.moment();
        let (_, owed) = world.state.accept(alerts.collect(), Source::V2, now);
        world.settle_accounts(owed);
    }
    world.wait(30);
    let mut told = 0;
    while let Some((_, ticket)) = world.take("a") {
        world.settle(ticket, Settled::Delivered);
        told += 1;
    }
    assert_eq!(told, number);
    world.commit();
    world.wait(300);
    let (writes, began) = (world.disk.writes, Instant::now());
    world.wait(3_000);
    let took = began.elapsed();
    assert_eq!((world.told().len(), world.disk.writes), (0, writes));
    eprintln!("{number} quiet groups: {:?} for each interval", took / 10);
}
