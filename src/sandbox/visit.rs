//! What one request holds while it is being answered, and gives back however it ends: its place
//! among the concurrent requests, its claim on an idempotency key, its destination.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderValue;

use super::api::Call;
use super::auth::{Account, Credential, Scope};
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::faults::{Fault, Firing, Target};
use super::form::Params;
use super::idempotency::{Answer, KEY_LENGTH_MAX, Lookup};
use super::ids::{Id, Kind};
use super::ledger::Origin;
use super::operations::{Operation, Read, Write, Written};
use super::reply::Reply;
use super::server::Server;
use super::state::{RequestLine, State};
use super::transfers::Version;

pub(super) struct Visit {
    pub(super) server: Arc<Server>,
    /// The reset this request came after.
    epoch: u64,
    request: usize,
    pub(super) request_id: String,
    arrived_ms: i64,
    scope: Scope,
    endpoint: Option<Endpoint>,
    pub(super) version: HeaderValue,
    pub(super) key: Option<Arc<str>>,
    transfer_group: Option<String>,
    destination: Option<String>,
    fingerprint: u64,
    pub(super) firing: Firing,
    pub(super) latency: Duration,
    /// Counted among the concurrent requests.
    entered: bool,
    /// Other requests with this key are told that it is in use.
    claimed: bool,
    /// The account that no other transfer may go to meanwhile.
    locked: Option<Arc<str>>,
    finished: bool,
}

/// What is left to do for a request that was admitted.
pub(super) enum Job {
    /// The stored answer is sent again.
    Replay(Reply),
    Read(Read),
    Write(Write),
}

impl Visit {
    /// Lets a request in. The error is its answer: nothing was executed and nothing is stored.
    pub(super) fn start(
        server: &Arc<Server>,
        call: &Call,
        params: Result<Params, ApiError>,
    ) -> (Self, Result<Job, ApiError>) {
        let mut visit = Self {
            server: Arc::clone(server),
            epoch: 0,
            request: 0,
            request_id: String::new(),
            arrived_ms: 0,
            scope: Scope {
                account: Account::Platform,
                livemode: false,
            },
            endpoint: None,
            version: call.version(),
            key: None,
            transfer_group: None,
            destination: None,
            fingerprint: 0,
            firing: Firing::NOTHING,
            latency: Duration::ZERO,
            entered: false,
            claimed: false,
            locked: None,
            finished: false,
        };
        let mut state = server.lock();
        visit.epoch = state.epoch;
        visit.request = state.next_request();
        visit.request_id = Id {
            kind: Kind::Request,
            space: &state.tag,
            place: visit.request,
        }
        .to_string();
        visit.arrived_ms = state.clock.now_ms();
        let admitted = visit.admit(&mut state, call, params);
        drop(state);
        (visit, admitted)
    }

    fn admit(
        &mut self,
        state: &mut State,
        call: &Call,
        params: Result<Params, ApiError>,
    ) -> Result<Job, ApiError> {
        let credential = Credential::read(call.header("authorization"), state.allow_live)?;
        self.scope = credential.scope;
        let route = call
            .route()
            .ok_or_else(|| ApiError::unrecognized(call.method.as_str(), &call.path))?;
        self.endpoint = Some(route.endpoint);
        credential.permits(route.endpoint)?;
        if let Some(account) = call
            .header("stripe-account")
            .filter(|account| Account::find(account) != Some(self.scope.account))
        {
            return Err(ApiError::no_access(account));
        }
        state.limits.enter(Instant::now())?;
        self.entered = true;

        let key = call.idempotency_key();
        if key.is_some_and(|key| key.len() > KEY_LENGTH_MAX) {
            return Err(ApiError::new(
                400,
                None,
                format!("Idempotency keys can be at most {KEY_LENGTH_MAX} characters long."),
            ));
        }
        self.key = key.map(Arc::from);
        let params = params?;
        let named = |name| params.peek(name).map(str::to_owned);
        self.destination = named("destination");
        self.transfer_group = named("transfer_group");
        self.fingerprint =
            params.fingerprint(&[&call.path, self.version.to_str().unwrap_or_default()]);

        let job = match self.stored_answer(state)? {
            Some(reply) => Job::Replay(reply),
            None => match Operation::read(route, params)? {
                Operation::Read(read) => Job::Read(read),
                Operation::Write(write) => Job::Write(write),
            },
        };
        if let Job::Write(write) = &job {
            if let Some(destination) = write.destination().map(Arc::from) {
                state.limits.lock(&destination)?;
                self.locked = Some(destination);
            }
            if let Some(key) = &self.key {
                state.books(self.scope).0.keys.claim(Arc::clone(key));
                self.claimed = true;
            }
        }
        self.firing = state.faults.choose(&Target {
            endpoint: route.endpoint,
            executes: !matches!(job, Job::Replay(_)),
            destination: self.destination.as_deref(),
            transfer_group: self.transfer_group.as_deref(),
            key: self.key.as_deref(),
        });
        let State { limits, random, .. } = state;
        self.latency = limits.latency(random);
        Ok(job)
    }

    /// The answer that the idempotency key replays, if it has one.
    fn stored_answer(&self, state: &mut State) -> Result<Option<Reply>, ApiError> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let (ledger, accounts) = state.books(self.scope);
        let record = match ledger.keys.look_up(key, self.fingerprint, self.arrived_ms) {
            Lookup::New => return Ok(None),
            Lookup::Running => return Err(ApiError::key_in_use(key)),
            Lookup::OtherParameters => return Err(ApiError::key_reused(key)),
            Lookup::Replay(record) => record,
        };
        let original = Id {
            kind: Kind::Request,
            space: &ledger.tag,
            place: record.request,
        }
        .to_string();
        let reply = match &record.answer {
            Answer::Text { status, body } => Reply::json(*status, body.as_bytes().to_vec()),
            Answer::Transfer { place, expand } => {
                let (place, expand) = (*place, *expand);
                if let Some(transfer) = ledger.transfers.get_mut(place) {
                    transfer.replays = transfer.replays.saturating_add(1);
                }
                Reply::json(
                    200,
                    ledger.transfer_body(place, Version::First, expand, accounts)?,
                )
            }
        };
        Ok(Some(reply.replayed(&original)))
    }

    /// Does what was asked for, once and at once.
    pub(super) fn execute(&mut self, job: Job) -> Result<Reply, ApiError> {
        let server = Arc::clone(&self.server);
        let mut state = server.lock();
        if state.epoch != self.epoch {
            return Err(ApiError::server_error());
        }
        match job {
            Job::Replay(reply) => Ok(reply),
            Job::Read(read) => Ok(Reply::json(200, state.read(self.scope, read)?)),
            Job::Write(write) => {
                let reply = self.execute_write(&mut state, write);
                drop(state);
                server.note_change();
                reply
            }
        }
    }

    fn execute_write(&mut self, state: &mut State, write: Write) -> Result<Reply, ApiError> {
        let origin = Origin {
            request: self.request,
            key: self.key.clone(),
        };
        let mut result = match self.firing.fault {
            Fault::Error500Before => Err(ApiError::server_error()),
            _ => state.write(self.scope, write, origin, self.firing.late_ms),
        };
        if self.firing.fault == Fault::Error500After && result.is_ok() {
            result = Err(ApiError::server_error());
        }
        let (ledger, accounts) = state.books(self.scope);
        let (reply, answer) = match result {
            Ok(Written::Transfer { place, expand }) => {
                let body = match self.firing.fault {
                    Fault::WrongAmount => ledger.transfer_body_with_wrong_amount(place)?,
                    _ => ledger.transfer_body(place, Version::First, expand, accounts)?,
                };
                (Reply::json(200, body), Answer::Transfer { place, expand })
            }
            Ok(Written::Body(body)) => {
                let text = String::from_utf8_lossy(&body).into();
                (
                    Reply::json(200, body),
                    Answer::Text {
                        status: 200,
                        body: text,
                    },
                )
            }
            Err(error) => {
                let reply = self.error_reply(&error);
                let text = String::from_utf8_lossy(&reply.body).into();
                (
                    reply,
                    Answer::Text {
                        status: error.status,
                        body: text,
                    },
                )
            }
        };
        let Some(key) = &self.key else {
            return Ok(reply);
        };
        ledger.keys.store(
            Arc::clone(key),
            self.arrived_ms,
            self.fingerprint,
            self.request,
            answer,
        );
        self.claimed = false;
        Ok(reply.executed_by(&self.request_id))
    }

    pub(super) fn error_reply(&self, error: &ApiError) -> Reply {
        Reply::error(error, &self.request_id, self.scope.livemode)
    }

    /// Gives back what the request holds and notes how it ended (`status` 0: without an answer).
    /// Returns the `Date` of the answer.
    pub(super) fn finish(&mut self, status: u16, replayed: bool) -> HeaderValue {
        self.finished = true;
        let server = Arc::clone(&self.server);
        let mut state = server.lock();
        if state.epoch == self.epoch {
            if self.entered {
                state.limits.leave();
            }
            if let Some(destination) = &self.locked {
                state.limits.unlock(destination);
            }
            if let (true, Some(key)) = (self.claimed, &self.key) {
                state.books(self.scope).0.keys.release(key);
            }
            state.count(RequestLine {
                id: self.request_id.clone(),
                endpoint: self.endpoint.map_or("unknown", Endpoint::name),
                arrived_ms: self.arrived_ms,
                transfer_group: self.transfer_group.take(),
                destination: self.destination.take(),
                idempotency_key: self.key.as_deref().map(str::to_owned),
                status,
                replayed,
                fault: Some(self.firing.fault).filter(|fault| *fault != Fault::None),
            });
        }
        state.date()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(0, false);
        }
    }
}
