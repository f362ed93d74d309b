//! HTTP/1.1 by hand: reads whole requests, writes answers byte by byte where a fault asks for it.

use std::fmt::Write as _;
use std::future::pending;
use std::io::{Error, Result};
use std::time::Duration;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
};
use tokio::time::{Instant, sleep};

use super::{Answer, Fault, Received};

/// The next request of a connection, or `None` when the client closed it.
pub(super) async fn read_request<S>(stream: &mut S, connection: usize) -> Result<Option<Received>>
where
    S: AsyncBufRead + Unpin,
{
    let first = read_line(stream).await?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Err(Error::other(format!("not a request line: {first:?}")));
    };
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| Error::other("not a header"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let find =
        |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let body = if find("transfer-encoding").is_some() {
        read_chunks(stream).await?
    } else {
        let length = find("content-length").map_or(Ok(0), |value| value.parse());
        let mut body = vec![0; length.map_err(Error::other)?];
        stream.read_exact(&mut body).await?;
        body
    };
    let at = Instant::now();
    Ok(Some(Received { method, path, headers, body, at, connection }))
}

async fn read_line<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

async fn read_chunks<S: AsyncBufRead + Unpin>(stream: &mut S) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let size = line.split(';').next().unwrap_or_default().trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..]).await?;
        read_line(stream).await?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Answers one request; says whether the connection can take another.
pub(super) async fn write_answer<S>(
    stream: &mut S,
    answer: &Answer,
    head_only: bool,
) -> Result<bool>
where
    S: AsyncWrite + Unpin,
{
    match &answer.fault {
        Fault::Hang => return pending().await,
        Fault::Close | Fault::Reset => return Ok(false),
        Fault::Raw(bytes) => {
            stream.write_all(bytes).await?;
            stream.shutdown().await?;
            return Ok(false);
        }
        Fault::Keep(bytes) => {
            stream.write_all(bytes).await?;
            stream.flush().await?;
            return Ok(true);
        }
        Fault::DripRaw(bytes, pause) => {
            drip(stream, bytes, *pause).await?;
            return Ok(true);
        }
        Fault::Flood(bytes) => loop {
            stream.write_all(bytes).await?;
        },
        _ => {}
    }
    stream.write_all(head(answer).as_bytes()).await?;
    stream.flush().await?;
    if head_only {
        return Ok(true);
    }
    match &answer.fault {
        Fault::HangInBody => return pending().await,
        Fault::DelayBody(pause) => sleep(*pause).await,
        Fault::Drip(pause) => {
            drip(stream, &answer.body, *pause).await?;
            return Ok(true);
        }
        Fault::CloseInBody => {
            stream.write_all(&answer.body[..answer.body.len() / 2]).await?;
            stream.flush().await?;
            return Ok(false);
        }
        Fault::Endless => loop {
            stream.write_all(&[b'x'; 8192]).await?;
        },
        _ => {}
    }
    stream.write_all(&answer.body).await?;
    stream.flush().await?;
    Ok(true)
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8], pause: Duration) -> Result<()> {
    for byte in bytes {
        stream.write_all(std::slice::from_ref(byte)).await?;
        stream.flush().await?;
        sleep(pause).await;
    }
    Ok(())
}

fn head(answer: &Answer) -> String {
    let reason = http::StatusCode::from_u16(answer.status).ok().and_then(|s| s.canonical_reason());
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason.unwrap_or("Unknown"));
    for (name, value) in &answer.headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // An endless body has no length: it ends with the connection.
    if answer.fault == Fault::Endless {
        head.push_str("connection: close\r\n");
    } else if answer.status != 204 && answer.status != 304 {
        let _ = write!(head, "content-length: {}\r\n", answer.body.len());
    }
    head.push_str("\r\n");
    head
}
