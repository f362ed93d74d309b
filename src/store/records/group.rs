//! What everyone was told about a group; routes and targets stand there as numbers.

use std::sync::Arc;

use super::{
    alert::{read_labels, write_labels},
    name::Name,
};
use crate::{
    api::TargetKey,
    dispatch::{AlertId, GroupEntry, GroupRecord, Heard, Hearing},
    store::codec::{Decoder, Encoder, Malformed, codes},
};

codes!(hearing_code, hearing, Hearing {
    Firing = 1,
    Resolved = 2,
    Past = 3,
    Unsure = 4,
    Skipped = 5,
});

/// Bytes of an entry at least: number, time (two numbers), count, two flags, length.
const ENTRY: usize = 7;
/// Bytes of a member at least: alert, version, what it heard.
const HEARD: usize = 3;

/// `number` gives the number of a name.
pub(in crate::store) fn write_group(
    to: &mut Encoder,
    record: &GroupRecord,
    number: &mut dyn FnMut(Name) -> u32,
) {
    to.number(number(Name::Route(record.route.clone())));
    write_labels(to, &record.labels);
    to.time(record.flushed_at);
    to.time(record.left_at);
    to.length(record.entries.len());
    for entry in &record.entries {
        to.number(number(Name::Target(entry.target.clone(), entry.uid.clone())));
        to.time(entry.at);
        to.number(entry.count);
        to.option(entry.dead_lettered, Encoder::number);
        to.option(entry.resumed_at, Encoder::time);
        to.length(entry.heard.len());
        for Heard { alert, version, what } in &*entry.heard {
            to.number(alert.0);
            to.number(*version);
            to.byte(hearing_code(*what));
        }
    }
}

/// `name` finds the name of a number.
pub(in crate::store) fn read_group<'n>(
    body: &[u8],
    name: &dyn Fn(u32) -> Option<&'n Name>,
) -> Result<GroupRecord, Malformed> {
    let mut from = Decoder(body);
    let Some(Name::Route(route)) = name(from.small()?) else {
        return Err(Malformed("names a route that is not known"));
    };
    let (labels, flushed_at, left_at) = (read_labels(&mut from)?, from.time()?, from.time()?);
    let count = from.count(ENTRY)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(Name::Target(target, uid)) = name(from.small()?) else {
            return Err(Malformed("names a target that is not known"));
        };
        entries.push(read_entry(&mut from, target, uid)?);
    }
    from.end()?;
    Ok(GroupRecord { route: route.clone(), labels, flushed_at, left_at, entries })
}

fn read_entry(
    from: &mut Decoder<'_>,
    target: &TargetKey,
    uid: &Arc<str>,
) -> Result<GroupEntry, Malformed> {
    Ok(GroupEntry {
        target: target.clone(),
        uid: uid.clone(),
        at: from.time()?,
        count: from.small()?,
        dead_lettered: from.option(Decoder::number)?,
        resumed_at: from.option(Decoder::time)?,
        heard: {
            let count = from.count(HEARD)?;
            (0..count).map(|_| read_heard(from)).collect::<Result<_, _>>()?
        },
    })
}

fn read_heard(from: &mut Decoder<'_>) -> Result<Heard, Malformed> {
    Ok(Heard {
        alert: AlertId(from.number()?),
        version: from.small()?,
        what: hearing(from.byte()?)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{group, hostile};

    proptest! {
        #[test]
        fn what_a_group_was_told_comes_back(record in group()) {
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
            write_group(&mut to, &record, &mut number);
            let back = read_group(&to.0, &|number| names.get(number as usize));
            prop_assert_eq!(back, Ok(record));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let names = [
                Name::Route("a/b".parse().unwrap()),
                Name::Target("a/b".parse().unwrap(), "u".into()),
            ];
            let _ = read_group(&bytes, &|number| names.get(number as usize));
        }
    }

    #[test]
    fn number_without_a_name_is_refused() {
        let back = read_group(&[7], &|_| None);
        assert_eq!(back, Err(Malformed("names a route that is not known")));
    }
}
