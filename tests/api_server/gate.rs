//! A token endpoint that holds its answers back until the test has looked around.

use std::sync::Arc;
use std::time::Duration;

use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use serde_json::json;
use tokio::sync::{Mutex, mpsc};

use crate::stage::SOON;

/// The server, seen from behind the gate.
pub struct Gate {
    pub server: ScriptedServer,
    arrivals: mpsc::UnboundedReceiver<RecordedRequest>,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Gate {
    pub async fn start() -> Self {
        let server = ScriptedServer::start().await;
        let (arrived, arrivals) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let answered = Arc::new(Mutex::new(answered));
        server.answer_when(move |request| {
            // Nobody listens any more when the test is over.
            let _ = arrived.send(request.clone());
            let answered = Arc::clone(&answered);
            async move { answered.lock().await.recv().await.unwrap_or_else(Answer::close) }
        });
        Self { server, arrivals, answers }
    }

    pub fn endpoint(&self) -> String {
        self.server.url("/token")
    }

    /// Waits for the next request, which then stands at the gate.
    pub async fn arrival(&mut self) -> RecordedRequest {
        tokio::time::timeout(SOON, self.arrivals.recv())
            .await
            .expect("a request comes soon")
            .expect("the server lives as long as the gate")
    }

    /// How many requests stand at the gate and were not looked at.
    pub fn more_arrivals(&mut self) -> usize {
        std::iter::from_fn(|| self.arrivals.try_recv().ok()).count()
    }

    /// Answers the request that stands at the gate, or the next one that comes.
    pub fn answer(&self, answer: Answer) {
        self.answers.send(answer).expect("the server lives as long as the gate");
    }
}

/// A token response with a new refresh token.
pub fn rotated(access_token: &str, refresh_token: &str, lifetime: Duration) -> Answer {
    let body = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "refresh_token": refresh_token,
    });
    Answer::json(200, &body)
}

/// The field of a form body.
pub fn field(request: &RecordedRequest, name: &str) -> Option<String> {
    let mut fields = request.form().into_iter();
    fields.find(|(field, _)| field == name).map(|(_, value)| value)
}
