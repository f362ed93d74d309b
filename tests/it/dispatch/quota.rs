//! The limit for alerts of one name.

use fanfare::{
    dispatch::Settings,
    publish::{Accepted, Source},
};

use super::world::{BEGIN, World, alert, settings};

fn limited(most: usize) -> World {
    World::with(Settings { max_per_name: most, ..settings() }, &["a"])
}

fn fires(world: &mut World, name: &str, instance: &str) -> Accepted {
    let mut one = alert(name, BEGIN, BEGIN + 300, BEGIN);
    one.labels = [("alertname", name), ("instance", instance)].into_iter().collect();
    world.accept(one, Source::V2)
}

#[test]
fn too_many_new_alerts_of_one_name_are_refused_and_nothing_else() {
    let mut world = limited(2);
    for instance in ["1", "2"] {
        assert_eq!(fires(&mut world, "Down", instance).refused, 0);
    }
    let over = fires(&mut world, "Down", "3");
    assert_eq!((over.alerts, over.refused, over.crowded), (0, 1, 1));
    assert_eq!(fires(&mut world, "Down", "1").alerts, 1, "a known one is taken");
    assert_eq!(fires(&mut world, "Up", "3").alerts, 1, "another name has its own limit");
    let mut ended = alert("Down", BEGIN, BEGIN, BEGIN);
    ended.labels = [("alertname", "Down"), ("instance", "2")].into_iter().collect();
    assert_eq!(world.accept(ended, Source::V2).alerts, 1, "a resolve is taken, and makes room");
    assert_eq!(fires(&mut world, "Down", "3").alerts, 1);
    assert_eq!(fires(&mut world, "Down", "4").crowded, 1);
    assert_eq!(fires(&mut world, "Down", "2").alerts, 1, "one that is known and fires again, too");
}

#[test]
fn without_a_limit_there_is_none() {
    let mut world = limited(0);
    for instance in 0..100 {
        assert_eq!(fires(&mut world, "Down", &instance.to_string()).refused, 0);
    }
}

#[test]
fn limit_counts_what_an_earlier_process_left() {
    let mut world = limited(1);
    assert_eq!(fires(&mut world, "Down", "1").alerts, 1);
    world.restart();
    assert_eq!(fires(&mut world, "Down", "2").crowded, 1);
    assert_eq!(fires(&mut world, "Down", "1").alerts, 1);
}
