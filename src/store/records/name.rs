//! A name that other records stand for by its number.

use std::sync::Arc;

use crate::{
    api::{RouteKey, TargetKey},
    store::codec::{Decoder, Encoder, Malformed},
};

/// What numbers stand for in records of what was told and in keys of queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) enum Name {
    /// A route.
    Route(RouteKey),
    /// A target and its UID.
    Target(TargetKey, Arc<str>),
}

pub(in crate::store) fn write_name(to: &mut Encoder, name: &Name) {
    match name {
        Name::Route(route) => {
            to.byte(1);
            write_route(to, route);
        }
        Name::Target(target, uid) => {
            to.byte(2);
            write_target(to, target);
            to.text(uid);
        }
    }
}

pub(in crate::store) fn read_name(body: &[u8]) -> Result<Name, Malformed> {
    let mut from = Decoder(body);
    let name = match from.byte()? {
        1 => Name::Route(read_route(&mut from)?),
        2 => Name::Target(read_target(&mut from)?, from.shared()?),
        _ => return Err(Malformed("unknown kind of name")),
    };
    from.end()?;
    Ok(name)
}

pub(super) fn write_target(to: &mut Encoder, target: &TargetKey) {
    to.text(&target.namespace);
    to.text(&target.name);
}

pub(super) fn read_target(from: &mut Decoder<'_>) -> Result<TargetKey, Malformed> {
    Ok(TargetKey { namespace: from.shared()?, name: from.shared()? })
}

pub(super) fn write_route(to: &mut Encoder, route: &RouteKey) {
    to.text(&route.namespace);
    to.text(&route.name);
}

pub(super) fn read_route(from: &mut Decoder<'_>) -> Result<RouteKey, Malformed> {
    Ok(RouteKey { namespace: from.shared()?, name: from.shared()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{hostile, route, target};

    proptest! {
        #[test]
        fn names_come_back(route in route(), target in target(), uid in ".{0,40}") {
            for name in [Name::Route(route), Name::Target(target, uid.into())] {
                let mut to = Encoder::default();
                write_name(&mut to, &name);
                prop_assert_eq!(read_name(&to.0), Ok(name));
            }
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_name(&bytes);
        }
    }
}
