//! One connection through the proxy.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Fate, Passage, Shared};
use crate::framing::{Kind, MessageStream};
use crate::http_server::RecordedRequest;

/// Serves the connection. What goes wrong on it ends it, as both sides see soon enough.
pub(super) async fn serve(client: TcpStream, number: u64, fate: Fate, shared: Arc<Shared>) {
    let _ = match fate {
        Fate::Reset => client.set_zero_linger(),
        _ => relay(client, number, fate, &shared).await,
    };
}

async fn relay(client: TcpStream, connection: u64, fate: Fate, shared: &Shared) -> io::Result<()> {
    let mut client = MessageStream::new(client, Kind::Request);
    let mut server = MessageStream::new(TcpStream::connect(shared.upstream).await?, Kind::Response);
    while let Some(asked) = client.next().await? {
        server.stream().write_all(&asked.bytes).await?;
        let Some(answer) = server.next().await? else { return Ok(()) };
        let response = answer.bytes;
        shared.state().last_response_len = Some(response.len());
        match fate {
            Fate::Delay(delay) => tokio::time::sleep(delay).await,
            Fate::Stall => shared.hold().await,
            Fate::Pass | Fate::Reset | Fate::CutAfter(_) | Fate::ResetAfter(_) => {}
        }
        let (passed, ending) = match fate {
            Fate::CutAfter(count) => (count.min(response.len()), Ending::Close),
            Fate::ResetAfter(count) => (count.min(response.len()), Ending::Reset),
            Fate::Pass | Fate::Reset | Fate::Delay(_) | Fate::Stall => {
                (response.len(), Ending::None)
            }
        };
        let mut request = RecordedRequest::parse(asked.head()).map_err(io::Error::other)?;
        request.body = asked.body().to_vec();
        // Before the client can know.
        shared.state().passages.push(Passage {
            connection,
            fate,
            request,
            response: response.clone(),
            passed,
        });
        client.stream().write_all(&response[..passed]).await?;
        match ending {
            Ending::None => {}
            Ending::Close => return client.stream().shutdown().await,
            Ending::Reset => return client.stream().set_zero_linger(),
        }
    }
    Ok(())
}

/// How a connection goes on after an answer.
enum Ending {
    None,
    Close,
    Reset,
}
