//! `GET /api/v2/alerts` and `/api/v2/alerts/groups`, written down while they are sent.

use axum::{
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use super::{
    groups,
    params::{BadParam, Params},
    parts::{self, Piece, Pieces, separated},
    select::{self, Select},
    text,
};
use crate::{dispatch::Listing, registry::Snapshot, server::Server};

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
    parts::answer(pieces)
}
