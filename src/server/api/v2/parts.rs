//! JSON arrays that are written down while they are sent.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse as _, Response},
};
use futures::stream;
use jiff::Timestamp;

use super::{groups::Group, silences, write::Entry};
use crate::publish::Silence;

/// Bytes that are written down at a time.
pub(super) const PART: usize = 32 * 1024;

/// What a body is made of: none is larger than an alert or a silence.
pub(super) enum Piece {
    Text(&'static str),
    Alert(Entry),
    End(Group),
    /// As it stands at that moment.
    Silence(Arc<Silence>, Timestamp),
}

pub(super) type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// The pieces with commas between them.
pub(super) fn separated(pieces: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    let text = |at| Piece::Text(if at > 0 { "," } else { "" });
    pieces.enumerate().flat_map(move |(at, piece)| [text(at), piece])
}

/// The array that is made of separated pieces.
pub(super) fn answer(pieces: Pieces) -> Response {
    let body = Body::from_stream(stream::iter(parts(pieces).map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A JSON array on a line, in parts.
fn parts(pieces: Pieces) -> impl Iterator<Item = Bytes> {
    let (begin, end) = ([Piece::Text("[")], [Piece::Text("]\n")]);
    let mut pieces = begin.into_iter().chain(pieces).chain(end).fuse();
    std::iter::from_fn(move || {
        let mut out = Vec::with_capacity(PART + PART / 4);
        while out.len() < PART
            && let Some(piece) = pieces.next()
        {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Alert(entry) => entry.push(&mut out),
                Piece::End(group) => group.push_end(&mut out),
                Piece::Silence(silence, now) => silences::push(&mut out, &silence, now),
            }
        }
        (!out.is_empty()).then(|| out.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(items: Vec<&'static str>) -> (usize, String) {
        let pieces = separated(items.into_iter().map(Piece::Text));
        let pieces: Vec<Piece> = pieces.collect();
        let parts: Vec<Bytes> = parts(Box::new(pieces.into_iter())).collect();
        (parts.len(), String::from_utf8(parts.concat()).unwrap())
    }

    #[test]
    fn parts_make_one_array() {
        assert_eq!(written(vec![]), (1, "[]\n".to_owned()));
        assert_eq!(written(vec!["1", "2"]), (1, "[1,2]\n".to_owned()));
        let long: &'static str = Box::leak("7".repeat(PART).into_boxed_str());
        let (parts, text) = written(vec![long, "1", long]);
        assert_eq!((parts, text.len()), (3, 2 * PART + 1 + 5));
    }
}
