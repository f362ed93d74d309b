//! What becomes of a connection of HTTP/1 between its requests.

use std::{sync::Arc, time::Duration};

use fanfare::delivery::Client;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::fixture::{client, firing, send, webhook};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Reads what came: one request, which is smaller than the buffer and comes at once. False: the other side has
/// closed the connection.
async fn read(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 8 * 1024]).await, Ok(1..))
}

/// A connection that has carried one request, with its client.
async fn used() -> (Client, TcpStream) {
    let (listener, url) = listen().await;
    let client = client();
    let far = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(read(&mut stream).await);
        stream.write_all(OK).await.unwrap();
        stream
    };
    let target = webhook(&url);
    let (attempt, stream) = tokio::join!(send(&client, &target, firing()), far);
    assert_eq!(attempt.result, Ok(()));
    // From here on only timers have anything to say: time need not really pass.
    tokio::time::pause();
    (client, stream)
}

#[tokio::test]
async fn what_the_far_end_closed_is_let_go_before_anybody_needs_it() {
    let (_client, mut stream) = used().await;
    let idle = Instant::now();
    stream.shutdown().await.unwrap();
    assert!(!read(&mut stream).await, "our side is closed, too");
    let took = idle.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_fifty_seconds() {
    let (_client, mut stream) = used().await;
    let idle = Instant::now();
    assert!(!read(&mut stream).await);
    let took = idle.elapsed();
    assert!(took > Duration::from_secs(45) && took < Duration::from_mins(1), "{took:?}");
}

#[tokio::test]
async fn eight_idle_connections_of_a_host_are_kept() {
    const MANY: usize = 12;
    let (listener, url) = listen().await;
    let (client, target) = (client(), webhook(&url));
    let far = async {
        let together = Arc::new(Barrier::new(MANY));
        let mut streams = JoinSet::new();
        for _ in 0..MANY {
            let (mut stream, _) = listener.accept().await.unwrap();
            let together = Arc::clone(&together);
            streams.spawn(async move {
                assert!(read(&mut stream).await);
                together.wait().await;
                stream.write_all(OK).await.unwrap();
                // Until it is used again, or the other side closes it.
                let used = read(&mut stream).await;
                if used {
                    stream.write_all(OK).await.unwrap();
                }
                used
            });
        }
        streams
    };
    let many = futures::future::join_all((0..MANY).map(|_| send(&client, &target, firing())));
    let (attempts, mut streams) = tokio::join!(many, far);
    assert!(attempts.iter().all(|attempt| attempt.result.is_ok()));
    let mut closed = 0;
    while closed < MANY - 8 {
        let used = timeout(Duration::from_secs(10), streams.join_next()).await.unwrap();
        assert!(!used.unwrap().unwrap());
        closed += 1;
    }
    let rest = futures::future::join_all((0..8).map(|_| send(&client, &target, firing())));
    assert!(rest.await.iter().all(|attempt| attempt.result.is_ok()));
    let used = streams.join_all().await;
    assert_eq!(used, [true; 8], "each of the rest is used again");
}
