//! What everyone was told about an alert; routes and targets stand there as numbers.

use std::sync::Arc;

use super::{
    alert::{status, status_code},
    name::Name,
};
use crate::{
    api::TargetKey,
    dispatch::{RouteTold, Said, ToldEntry, ToldRecord},
    store::codec::{Decoder, Encoder, Malformed},
};

const LAST: u8 = 1;
const MAYBE_FIRING: u8 = 1 << 1;
const MAYBE_RESOLVED: u8 = 1 << 2;
const SKIPPED: u8 = 1 << 3;
const DEAD_LETTERED: u8 = 1 << 4;
const RESUMED: u8 = 1 << 5;
const ALL: u8 = (RESUMED << 1) - 1;

/// `number` gives the number of a name.
pub(in crate::store) fn write_told(
    to: &mut Encoder,
    record: &ToldRecord,
    number: &mut dyn FnMut(Name) -> u32,
) {
    to.length(record.routes.len());
    for route in &record.routes {
        to.number(number(Name::Route(route.route.clone())));
        to.length(route.entries.len());
        for entry in &route.entries {
            to.number(number(Name::Target(entry.target.clone(), entry.uid.clone())));
            write_entry(to, entry);
        }
    }
}

fn write_entry(to: &mut Encoder, entry: &ToldEntry) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    to.byte(
        flag(entry.last.is_some(), LAST)
            | flag(entry.maybe_firing, MAYBE_FIRING)
            | flag(entry.maybe_resolved, MAYBE_RESOLVED)
            | flag(entry.skipped.is_some(), SKIPPED)
            | flag(entry.dead_lettered.is_some(), DEAD_LETTERED)
            | flag(entry.resumed_at.is_some(), RESUMED),
    );
    if let Some(said) = entry.last {
        to.number(said.incident);
        to.byte(status_code(said.status));
        to.number(said.version);
    }
    to.time(entry.at);
    to.number(entry.count);
    for version in [entry.skipped, entry.dead_lettered].into_iter().flatten() {
        to.number(version);
    }
    if let Some(resumed_at) = entry.resumed_at {
        to.time(resumed_at);
    }
}

/// `name` finds the name of a number.
pub(in crate::store) fn read_told<'n>(
    body: &[u8],
    name: &dyn Fn(u32) -> Option<&'n Name>,
) -> Result<ToldRecord, Malformed> {
    let mut from = Decoder(body);
    let routes = (0..from.count(2)?).map(|_| read_route_told(&mut from, name));
    let record = ToldRecord { routes: routes.collect::<Result<_, _>>()? };
    from.end()?;
    Ok(record)
}

fn read_route_told<'n>(
    from: &mut Decoder<'_>,
    name: &dyn Fn(u32) -> Option<&'n Name>,
) -> Result<RouteTold, Malformed> {
    let Some(Name::Route(route)) = name(from.small()?) else {
        return Err(Malformed("names a route that is not known"));
    };
    // Number, flags, time (two numbers), count.
    let count = from.count(5)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(Name::Target(target, uid)) = name(from.small()?) else {
            return Err(Malformed("names a target that is not known"));
        };
        entries.push(read_entry(from, target, uid)?);
    }
    Ok(RouteTold { route: route.clone(), entries })
}

fn read_entry(
    from: &mut Decoder<'_>,
    target: &TargetKey,
    uid: &Arc<str>,
) -> Result<ToldEntry, Malformed> {
    let flags = from.byte()?;
    if flags & !ALL != 0 {
        return Err(Malformed("unknown flags"));
    }
    let has = |flag: u8| flags & flag != 0;
    let last = if has(LAST) {
        Some(Said {
            incident: from.small()?,
            status: status(from.byte()?)?,
            version: from.small()?,
        })
    } else {
        None
    };
    Ok(ToldEntry {
        target: target.clone(),
        uid: uid.clone(),
        last,
        at: from.time()?,
        count: from.small()?,
        maybe_firing: has(MAYBE_FIRING),
        maybe_resolved: has(MAYBE_RESOLVED),
        skipped: if has(SKIPPED) { Some(from.small()?) } else { None },
        dead_lettered: if has(DEAD_LETTERED) { Some(from.small()?) } else { None },
        resumed_at: if has(RESUMED) { Some(from.time()?) } else { None },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{hostile, told};

    proptest! {
        #[test]
        fn what_was_told_comes_back(record in told()) {
            let mut names: Vec<Name> = Vec::new();
            let mut number = |name: Name| {
                let known = names.iter().position(|known| *known == name);
                let at = known.unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                });
                u32::try_from(at).unwrap()
            };
            let mut to = Encoder::default();
            write_told(&mut to, &record, &mut number);
            let back = read_told(&to.0, &|number| names.get(number as usize));
            prop_assert_eq!(back, Ok(record));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let name = Name::Route("a/b".parse().unwrap());
            let _ = read_told(&bytes, &|_| Some(&name));
        }
    }

    #[test]
    fn number_without_a_name_is_refused() {
        let record = ToldRecord {
            routes: vec![RouteTold { route: "a/b".parse().unwrap(), entries: Vec::new() }],
        };
        let mut to = Encoder::default();
        write_told(&mut to, &record, &mut |_| 7);
        let back = read_told(&to.0, &|_| None);
        assert_eq!(back, Err(Malformed("names a route that is not known")));
    }
}
