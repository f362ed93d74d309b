//! `GET /api/v2/alerts` and `/api/v2/alerts/groups`, written down while they are sent.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;

use super::{
    groups::{self, Group},
    params::{BadParam, Params},
    select::{self, Select},
    text,
    write::Entry,
};
use crate::{dispatch::Listing, registry::Snapshot, server::Server};

/// Bytes that are written down at a time.
const PART: usize = 32 * 1024;

/// What a body is made of: none is larger than an alert.
enum Piece {
    Text(&'static str),
    Alert(Entry),
    End(Group),
}

type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

pub(super) async fn list(State(server): State<Server>, uri: Uri) -> Response {
    answer(server, &uri, |listing, select, snapshot| {
        Box::new(separated(select::alerts(listing, select, snapshot).into_iter().map(Piece::Alert)))
    })
    .await
}

pub(super) async fn groups(State(server): State<Server>, uri: Uri) -> Response {
    answer(server, &uri, |listing, select, snapshot| {
        let groups = groups::groups(listing, select, snapshot).into_iter().enumerate();
        Box::new(groups.flat_map(|(at, group)| {
            let begin = if at > 0 { ",{\"alerts\":[" } else { "{\"alerts\":[" };
            let members = group.members.clone();
            let members = (0..members.len()).map(move |at| Piece::Alert(members[at].clone()));
            let end = std::iter::once(Piece::End(group));
            std::iter::once(Piece::Text(begin)).chain(separated(members)).chain(end)
        }))
    })
    .await
}

fn separated(pieces: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    let text = |at| Piece::Text(if at > 0 { "," } else { "" });
    pieces.enumerate().flat_map(move |(at, piece)| [text(at), piece])
}

async fn answer(
    server: Server,
    uri: &Uri,
    find: fn(&Listing, &Select, &Snapshot) -> Pieces,
) -> Response {
    let select = match Select::new(&Params::new(uri)) {
        Ok(select) => select,
        Err(bad) => return BadParam::into(bad),
    };
    let snapshot = server.snapshot.borrow().clone();
    // Looking through 100,000 alerts takes a while.
    let found = tokio::task::spawn_blocking(move || find(&(server.listing)(), &select, &snapshot));
    let Ok(pieces) = found.await else {
        let problem = "looking through the alerts ended unexpectedly; see the log";
        return text(StatusCode::INTERNAL_SERVER_ERROR, problem).into_response();
    };
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
