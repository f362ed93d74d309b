//! A silence.

use crate::{
    api::MatchType,
    publish::{Silence, SilenceId, SilenceMatcher},
    store::codec::{Decoder, Encoder, Malformed, codes},
};

codes!(kind_code, kind, MatchType { Equal = 1, NotEqual = 2, Regex = 3, NotRegex = 4 });

pub(in crate::store) fn write_silence(to: &mut Encoder, silence: &Silence) {
    let Silence {
        id: _,
        matchers,
        starts_at,
        ends_at,
        updated_at,
        created_by,
        comment,
        annotations,
    } = silence;
    to.length(matchers.len());
    for SilenceMatcher { name, kind, value } in matchers {
        to.byte(kind_code(*kind));
        to.text(name);
        to.text(value);
    }
    for time in [starts_at, ends_at, updated_at] {
        to.time(*time);
    }
    to.text(created_by);
    to.text(comment);
    to.length(annotations.len());
    for (name, text) in annotations {
        to.text(name);
        to.text(text);
    }
}

pub(in crate::store) fn read_silence(body: &[u8], id: SilenceId) -> Result<Silence, Malformed> {
    let mut from = Decoder(body);
    let count = from.count(3)?;
    let matcher = |from: &mut Decoder<'_>| {
        let kind = kind(from.byte()?)?;
        Ok(SilenceMatcher { kind, name: from.text()?.into(), value: from.text()?.into() })
    };
    let matchers = (0..count).map(|_| matcher(&mut from)).collect::<Result<_, _>>()?;
    let (starts_at, ends_at, updated_at) = (from.time()?, from.time()?, from.time()?);
    let (created_by, comment) = (from.text()?.into(), from.text()?.into());
    let count = from.count(2)?;
    let annotations = (0..count)
        .map(|_| Ok((from.text()?.into(), from.text()?.into())))
        .collect::<Result<_, _>>()?;
    from.end()?;
    Ok(Silence { id, matchers, starts_at, ends_at, updated_at, created_by, comment, annotations })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::store::records::tests::{hostile, time};

    fn silence() -> impl Strategy<Value = Silence> {
        let kind = prop::sample::select(vec![
            MatchType::Equal,
            MatchType::NotEqual,
            MatchType::Regex,
            MatchType::NotRegex,
        ]);
        let matcher = (".{0,9}", kind, ".{0,9}").prop_map(|(name, kind, value)| SilenceMatcher {
            name: name.into(),
            kind,
            value: value.into(),
        });
        let texts = (".{0,9}", ".{0,9}", prop::collection::btree_map(".{0,9}", ".{0,9}", 0..4));
        let matchers = prop::collection::vec(matcher, 0..4);
        (any::<u128>(), matchers, (time(), time(), time()), texts).prop_map(
            |(id, matchers, (starts_at, ends_at, updated_at), (by, comment, annotations))| {
                Silence {
                    id: SilenceId(Uuid::from_u128(id)),
                    matchers,
                    starts_at,
                    ends_at,
                    updated_at,
                    created_by: by.into(),
                    comment: comment.into(),
                    annotations: annotations
                        .into_iter()
                        .map(|(name, text)| (name.into(), text.into()))
                        .collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn silence_comes_back(silence in silence()) {
            let mut to = Encoder::default();
            write_silence(&mut to, &silence);
            prop_assert_eq!(read_silence(&to.0, silence.id), Ok(silence));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_silence(&bytes, SilenceId(Uuid::nil()));
        }
    }
}
