use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, ScriptedServer};

const SOON: Duration = Duration::from_secs(5);

/// Sends these bytes and reads until the server closes.
async fn converse(server: &ScriptedServer, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.expect("it accepts");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it closes properly");
    answer
}

#[tokio::test]
async fn a_request_is_kept_byte_for_byte() {
    let server = ScriptedServer::start().await;
    let head =
        b"POST /token?a=b HTTP/1.1\r\nhOst: x\r\nContent-length:  7\r\nConnection: close\r\n\r\n";
    server.queue(Answer::json(200, &json!({"a": 1})).header("Connection", "close"));

    let answer = converse(&server, &[&head[..], b"x=%20&y"].concat()).await;

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].head_bytes, head);
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/token?a=b");
    assert_eq!(requests[0].path(), "/token");
    assert_eq!(requests[0].headers[0], ("hOst".to_owned(), "x".to_owned()));
    assert_eq!(requests[0].body, b"x=%20&y");
    assert_eq!(requests[0].form()[0], ("x".to_owned(), " ".to_owned()));
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: 7\r\n\r\n{\"a\":1}"
    );
}

#[tokio::test]
async fn one_connection_serves_many_requests_even_when_sent_at_once() {
    let server = ScriptedServer::start().await;
    server.always(Answer::status(204));
    server.queue(Answer::status(200));
    server.queue(Answer::status(201));
    let one = b"GET /1 HTTP/1.1\r\n\r\n";
    let two =
        b"PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let mut stream = TcpStream::connect(server.address()).await.expect("it accepts");
    stream.write_all(&[&one[..], &two[..], &one[..]].concat()).await.expect("it reads");

    let requests = server.wait_for_requests(3, SOON).await;

    assert_eq!(server.connections(), 1);
    assert_eq!(requests[1].body, b"abcde");
    stream.shutdown().await.expect("it can be half closed");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("it closes properly");
    let statuses: Vec<&str> =
        answers.split("\r\n").filter_map(|line| line.strip_prefix("HTTP/1.1 ")).collect();
    assert_eq!(statuses, ["200 OK", "201 Created", "204 No Content"]);
}

#[tokio::test]
async fn an_answer_can_be_cut_withheld_or_never_given() {
    let server = ScriptedServer::start().await;
    let request = b"GET / HTTP/1.1\r\n\r\n";
    server.queue(Answer::body(200, "text/plain", "long").cut_after(15));
    server.queue(Answer::close());
    server.queue(Answer::hang());

    assert_eq!(converse(&server, request).await, "HTTP/1.1 200 OK");
    assert_eq!(converse(&server, request).await, "");
    let silence = tokio::time::timeout(Duration::from_millis(50), converse(&server, request));
    assert!(silence.await.is_err());
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_connections() {
    let server = ScriptedServer::start().await;
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    drop(server);

    let mut rest = Vec::new();
    // Closed or reset, both are the end.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(address).await.is_err());
}
