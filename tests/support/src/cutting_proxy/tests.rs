use std::io::ErrorKind;
use std::time::Duration;

use reqwest::Response;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{CuttingProxy, Fate};
use crate::http_server::{Answer, ScriptedServer};
use crate::{http_client, wait};

const SOON: Duration = Duration::from_secs(5);
const REQUEST: &[u8] = b"POST /token?a=b HTTP/1.1\r\nContent-Length: 3\r\n\r\na=b";

async fn start() -> (ScriptedServer, CuttingProxy) {
    let server = ScriptedServer::start().await;
    server.always(Answer::json(200, &json!({"a": 1})));
    let proxy = CuttingProxy::start(server.address()).await;
    (server, proxy)
}

/// Sends a request and reads until the connection ends; an error when it was not closed properly.
async fn converse(proxy: &CuttingProxy) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut stream = TcpStream::connect(proxy.address()).await.expect("it accepts");
    let mut answer = Vec::new();
    let end = async {
        stream.write_all(REQUEST).await?;
        stream.read_to_end(&mut answer).await
    };
    let end = end.await.map(|_| ()).map_err(|error| error.kind());
    (answer, end)
}

async fn get(proxy: &CuttingProxy) -> reqwest::Result<Response> {
    http_client::new().get(proxy.url("/path")).send().await
}

#[tokio::test]
async fn an_answer_is_cut_after_every_byte_and_the_server_has_always_been_asked() {
    let (server, proxy) = start().await;
    assert_eq!(proxy.last_response_len(), None);
    proxy.queue(Fate::CutAfter(usize::MAX));
    let (whole, _) = converse(&proxy).await;
    assert_eq!(proxy.last_response_len(), Some(whole.len()));
    assert!(whole.ends_with(b"\r\n\r\n{\"a\":1}"), "{whole:?}");

    for count in 0..whole.len() {
        proxy.queue(Fate::CutAfter(count));
        assert_eq!(converse(&proxy).await, (whole[..count].to_vec(), Ok(())));
    }

    assert_eq!(server.requests().len(), whole.len() + 1);
    assert_eq!(proxy.connections(), server.requests().len() as u64);
    let passages = proxy.take_passages();
    let passed: Vec<usize> = passages[1..].iter().map(|passage| passage.passed).collect();
    assert_eq!(passed, Vec::from_iter(0..whole.len()));
    let passage = &passages[2];
    assert_eq!((passage.connection, passage.fate), (3, Fate::CutAfter(1)));
    assert_eq!(passage.request.form(), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(passage.response, whole);
    assert!(proxy.take_passages().is_empty());
}

#[tokio::test]
async fn connections_are_reset_before_or_after_the_server_was_asked() {
    let (server, proxy) = start().await;
    proxy.queue(Fate::Reset);
    let (answer, end) = converse(&proxy).await;
    assert!(answer.is_empty() && end.is_err());
    assert_eq!(server.requests().len(), 0);

    proxy.queue(Fate::ResetAfter(0));
    assert_eq!(converse(&proxy).await, (Vec::new(), Err(ErrorKind::ConnectionReset)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_policy_decides_for_what_is_not_queued() {
    let (server, proxy) = start().await;
    proxy.set_policy(|number| if number % 2 == 0 { Fate::CutAfter(0) } else { Fate::Pass });
    assert!(get(&proxy).await.is_ok());
    assert!(get(&proxy).await.is_err());
    proxy.queue(Fate::CutAfter(0));
    assert!(get(&proxy).await.is_err());
    proxy.always(Fate::Delay(Duration::from_millis(1)));
    assert!(get(&proxy).await.is_ok());
    assert_eq!((proxy.connections(), server.requests().len()), (4, 4));
}

#[tokio::test]
async fn a_connection_serves_many_requests_chunked_ones_too() {
    let (server, proxy) = start().await;
    let chunked = Answer::body(200, "text/plain", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    server.queue(chunked.header("Transfer-Encoding", "chunked"));
    server.queue(Answer::status(204));
    let client = http_client::new();
    let send = async || client.get(proxy.url("/")).send().await.expect("it answers");
    assert_eq!(send().await.text().await.expect("it is whole"), "abcde");
    assert_eq!(send().await.status(), 204);
    assert_eq!(send().await.text().await.expect("it is whole"), "{\"a\":1}");
    assert_eq!((proxy.connections(), server.connections()), (1, 1));
}

#[tokio::test]
async fn held_answers_are_passed_on_when_released_and_their_clients_may_have_gone() {
    let (server, proxy) = start().await;
    proxy.always(Fate::Stall);
    tokio::select! {
        answer = get(&proxy) => panic!("it is held: {answer:?}"),
        () = proxy.wait_until_held(1, SOON) => {}
    }
    let release = async {
        proxy.wait_until_held(2, SOON).await;
        assert_eq!(server.requests().len(), 2);
        proxy.release();
    };
    let (answer, ()) = tokio::join!(get(&proxy), release);
    assert_eq!(answer.expect("it comes").status(), 200);
}

#[tokio::test]
async fn a_closed_port_refuses_and_an_opened_one_serves_again() {
    let (_server, proxy) = start().await;
    let mut open = TcpStream::connect(proxy.address()).await.expect("it accepts");
    wait::until("it is known", SOON, || async { (proxy.connections() == 1).then_some(()) }).await;
    proxy.refuse_connections().await;
    let refused = TcpStream::connect(proxy.address()).await.expect_err("the port is closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    open.write_all(REQUEST).await.expect("it lives on");
    assert_eq!(open.read_u8().await.expect("it is served"), b'H');

    proxy.accept_connections().await;
    proxy.accept_connections().await;
    assert_eq!(get(&proxy).await.expect("it answers").status(), 200);
}

#[tokio::test]
async fn a_port_that_is_not_free_yet_is_waited_for() {
    let (_server, proxy) = start().await;
    proxy.refuse_connections().await;
    let held = TcpListener::bind(proxy.address()).await.expect("the port is closed");
    futures::join!(proxy.accept_connections(), async { drop(held) });
    assert_eq!(get(&proxy).await.expect("it answers").status(), 200);
}

#[tokio::test]
async fn a_dropped_proxy_is_gone_with_its_connections() {
    let (_server, proxy) = start().await;
    let address = proxy.address();
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    drop(proxy);

    let mut rest = Vec::new();
    // Closed or reset, both are the end.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(address).await.is_err());
}
