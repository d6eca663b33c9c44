//! A client secret that takes the place of another without a gap.

use std::sync::{Arc, Mutex};

use oauth_keeper_test_support::http_server::{Answer, RecordedRequest, ScriptedServer};
use oauth_keeper_test_support::suite::Env;
use oauth_keeper_test_support::wait;
use serde_json::{Value, json};

use crate::gate::field;
use crate::stage::{
    HOUR, Neighbour, SOON, Stage, client_credentials, eager, quick, source_of, spec, target_of,
    with,
};

/// A server that takes one secret alone, and each refresh token once.
struct Picky {
    server: ScriptedServer,
    taken: Arc<Mutex<&'static str>>,
    reuses: Arc<Mutex<usize>>,
}

impl Picky {
    async fn start(lifetime: u64) -> Self {
        let server = ScriptedServer::start().await;
        let (taken, reuses) = (Arc::new(Mutex::new("old")), Arc::new(Mutex::new(0)));
        let (secret, again, newest) =
            (Arc::clone(&taken), Arc::clone(&reuses), Mutex::new("refresh-0".to_owned()));
        server.answer_with(move |request| {
            if field(request, "client_secret").as_deref() != Some(*secret.lock().expect("whole")) {
                return Answer::json(401, &json!({"error": "invalid_client"}));
            }
            let mut answer = json!({"access_token": "access", "expires_in": lifetime});
            if let Some(token) = field(request, "refresh_token") {
                let mut newest = newest.lock().expect("whole");
                if *newest != token {
                    *again.lock().expect("whole") += 1;
                    return Answer::json(400, &json!({"error": "invalid_grant"}));
                }
                *newest = format!("{token}+");
                answer["refresh_token"] = json!(*newest);
            }
            Answer::json(200, &answer)
        });
        Self { server, taken, reuses }
    }

    fn takes(&self, secret: &'static str) {
        *self.taken.lock().expect("whole") = secret;
    }

    /// The secrets that were sent, in order.
    fn sent(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().filter_map(|request| field(request, "client_secret")).collect()
    }
}

const BOTH: [(&str, &str); 4] = [
    ("client_id", "client"),
    ("client_secret", "old"),
    ("next_client_secret", "new"),
    ("refresh_token", "refresh-0"),
];

/// All but the secret.
fn rest(request: &RecordedRequest) -> Vec<(String, String)> {
    request.form().into_iter().filter(|(name, _)| name != "client_secret").collect()
}

/// Says the grant of a spec.
type Grant = fn(Value) -> Value;

async fn told(stage: &Stage, name: &str) -> Vec<String> {
    let events = stage.events(name).await.into_iter();
    let next = events.filter(|event| event.reason.as_deref() == Some("NextClientSecretUsed"));
    next.filter_map(|event| event.note).collect()
}

pub async fn the_next_one_is_sent_once_the_present_one_is_refused(env: Arc<Env>) {
    let stage = Stage::new(env, "secrets").await;
    let _operator = stage.operator().await;
    // What the operator itself writes into the source is no other source.
    let grants: [(&str, Grant); 2] = [
        ("refresh", |spec| with(spec, json!({"source": {"writeBack": true}}))),
        ("client", client_credentials),
    ];
    for (name, grant) in grants {
        let picky = Picky::start(3).await;
        stage.source(&source_of(name), &BOTH).await;
        let spec = quick(spec(name, &picky.server.url("/token")));
        stage.credential(name, grant(spec)).await;
        stage.ready(name).await;
        assert!(picky.sent().iter().all(|secret| secret == "old"));
        let digest = async || {
            let annotations = stage.secret(&target_of(name)).await.metadata.annotations;
            annotations.expect("it has some")["oauth-keeper.dev/request"].clone()
        };
        let before = digest().await;

        picky.takes("new");
        let revision = stage.status(name).await["target"]["revision"].as_i64().expect("a number");
        stage.revision(name, revision + 3).await;
        let sent = picky.sent();
        let switch = sent.iter().position(|secret| secret == "new").expect("it was sent");
        assert!(sent[switch..].iter().all(|secret| secret == "new"), "{name}: {sent:?}");
        let requests = picky.server.requests();
        assert_eq!(
            rest(&requests[switch - 1]),
            rest(&requests[switch]),
            "{name}: the same but for it"
        );
        assert!(sent[..switch].iter().all(|secret| secret == "old"), "{name}: {sent:?}");
        assert_eq!(digest().await, before, "{name}");
        assert_eq!(*picky.reuses.lock().expect("whole"), 0, "{name}");
        wait::until("it is told", SOON, || async {
            (told(&stage, name).await.len() == 1).then_some(())
        })
        .await;
        let note = told(&stage, name).await.remove(0);
        assert!(note.contains("move it to client_secret"), "{name}: {note}");
        stage.condition(name, "Ready", "True", "Fresh").await;

        // When neither is taken, both were sent, and that is all.
        picky.takes("another");
        let message = stage.condition(name, "Stalled", "True", "ClientRejected").await;
        assert!(message.contains("client_secret and next_client_secret"), "{name}: {message}");
        let sent = picky.sent();
        assert_eq!(sent[sent.len() - 2..], ["new", "old"], "{name}");

        // Another source acts at once.
        let keys = [("client_id", "client"), ("client_secret", "another"), BOTH[3]];
        stage.source(&source_of(name), &keys).await;
        picky.server.wait_for_requests(sent.len() + 1, SOON).await;
        assert_eq!(picky.sent()[sent.len()], "another", "{name}");
        stage.condition(name, "Ready", "True", "Fresh").await;
        assert_eq!(*picky.reuses.lock().expect("whole"), 0, "{name}");
        stage.delete_secret(&source_of(name)).await;
    }
}

pub async fn which_one_works_is_known_after_writes_of_the_source_and_a_restart(env: Arc<Env>) {
    let stage = Stage::new(env, "secrets").await;
    let operator = stage.operator().await;
    let grants: [(&str, Grant); 2] = [("refresh", |spec| spec), ("client", client_credentials)];
    let mut servers = Vec::new();
    for (name, grant) in grants {
        let picky = Picky::start(3).await;
        picky.takes("new");
        stage.source(&source_of(name), &BOTH).await;
        let spec = quick(spec(name, &picky.server.url("/token")));
        stage.credential(name, grant(spec)).await;
        stage.ready(name).await;
        assert_eq!(picky.sent()[..2], ["old", "new"], "{name}");
        // Written anew with the same two.
        for more in ["1", "2", "3"] {
            let revision = stage.status(name).await["target"]["revision"].as_i64().expect("one");
            let keys = [BOTH[0], BOTH[1], BOTH[2], BOTH[3], ("more", more)];
            stage.source(&source_of(name), &keys).await;
            stage.revision(name, revision + 2).await;
        }
        let sent = picky.sent();
        assert!(sent[1..].iter().all(|secret| secret == "new"), "{name}: {sent:?}");
        servers.push(picky);
    }
    let metrics = operator.metrics().await;
    assert!(metrics.contains("exchanges_total{reason=\"OtherClientSecret\"} 2\n"), "{metrics}");
    assert!(!metrics.contains("exchanges_total{reason=\"ClientRejected\"}"), "{metrics}");

    assert!(operator.stop().await.success());
    let before: Vec<usize> = servers.iter().map(|picky| picky.sent().len()).collect();
    let _next = stage.operator().await;
    for ((name, _), picky) in grants.iter().zip(&servers) {
        let revision = stage.status(name).await["target"]["revision"].as_i64().expect("one");
        stage.revision(name, revision + 2).await;
        assert_eq!(*picky.reuses.lock().expect("whole"), 0, "{name}");
    }
    let after: Vec<String> = servers[0].sent().split_off(before[0]);
    assert!(after.iter().all(|secret| secret == "new"), "its state tells: {after:?}");
    let after: Vec<String> = servers[1].sent().split_off(before[1]);
    let old = after.iter().filter(|secret| *secret == "old").count();
    assert!(old == 1 && after[0] == "old", "{after:?}");
}

pub async fn where_both_are_refused_one_follows_the_other_once(env: Arc<Env>) {
    let stage = Stage::new(env, "secrets").await;
    let _operator = stage.operator().await;
    let neighbour = Neighbour::on(&stage).await;
    let grants: [(&str, Grant); 2] = [("refresh", |spec| spec), ("client", client_credentials)];
    for (name, grant) in grants {
        let picky = Picky::start(HOUR.as_secs()).await;
        picky.takes("another");
        stage.source(&source_of(name), &BOTH).await;
        let method = json!({"provider": {"clientAuthentication": {"method": "ClientSecretPost"}}});
        let spec = eager(spec(name, &picky.server.url("/token")));
        stage.credential(name, grant(with(spec, method))).await;
        stage.condition(name, "Stalled", "True", "ClientRejected").await;
        assert_eq!(picky.sent(), ["old", "new"], "{name}");
        // Each write of the source asks for one request, not for two.
        for (more, all) in [("1", 3), ("2", 4)] {
            let keys = [BOTH[0], BOTH[1], BOTH[2], BOTH[3], ("more", more)];
            stage.source(&source_of(name), &keys).await;
            picky.server.wait_for_requests(all, SOON).await;
            neighbour.renewed_twice(&stage).await;
            assert_eq!(picky.sent().len(), all, "{name}");
        }
        assert_eq!(picky.sent(), ["old", "new", "old", "new"], "{name}");
    }
}

pub async fn moving_it_to_its_place_makes_no_request(env: Arc<Env>) {
    let stage = Stage::new(env, "secrets").await;
    let picky = Picky::start(HOUR.as_secs()).await;
    let _operator = stage.operator().await;
    picky.takes("new");
    let grants: [(&str, Grant); 2] = [("refresh", |spec| spec), ("client", client_credentials)];
    for (name, grant) in grants {
        stage.source(&source_of(name), &BOTH).await;
        let spec = eager(spec(name, &picky.server.url("/token")));
        let method = json!({"provider": {"clientAuthentication": {"method": "ClientSecretPost"}}});
        stage.credential(name, grant(with(spec, method))).await;
        stage.ready(name).await;
    }
    assert_eq!(picky.sent(), ["old", "new", "old", "new"]);

    for name in ["refresh", "client"] {
        let keys = [("client_id", "client"), ("client_secret", "new"), BOTH[3]];
        stage.source(&source_of(name), &keys).await;
    }
    let neighbour = Neighbour::on(&stage).await;
    neighbour.renewed_twice(&stage).await;
    assert_eq!(picky.sent().len(), 4);
}
