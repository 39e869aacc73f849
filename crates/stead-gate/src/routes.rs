//! Requests and answers.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use stead_steward::machines::Machines;
use stead_steward::{Steward, StewardError};
use stead_wire::api::{Create, Kill, Problem, Rename};

/// Largest body of a request, in bytes: an environment and a prompt fit.
const MAX_BODY: usize = 8 * 1024 * 1024;

pub(crate) type Answer = Result<Response, Failure>;

/// All of [`stead_wire::api`], and of [`stead_steward::machines::api`] where there are machines.
pub fn router(steward: Steward, machines: Option<Machines>) -> Router {
    let machines = machines.map(crate::machines::router).unwrap_or_default();
    Router::new()
        .route("/v1/version", get(version))
        .route("/v1/sessions", get(list).post(create))
        .route("/v1/sessions/{name}", get(one).delete(remove))
        .route("/v1/sessions/{name}/explain", get(explain))
        .route("/v1/sessions/{name}/kill", post(kill))
        .route("/v1/sessions/{name}/rename", post(rename))
        .route("/v1/sessions/{name}/restart", post(restart))
        .route("/v1/sessions/{name}/sync", post(sync))
        .route("/v1/events", get(events))
        .route("/v1/stop", post(stop))
        .with_state(steward)
        .merge(machines)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn version(State(steward): State<Steward>) -> Response {
    Json(steward.version()).into_response()
}

async fn list(State(steward): State<Steward>) -> Response {
    Json(steward.list().await).into_response()
}

async fn create(State(steward): State<Steward>, body: Result<Bytes, BytesRejection>) -> Answer {
    let ask: Create = read(body)?;
    // A client that goes away must not leave a session half made: the work is not the request's own.
    let session = apart(async move { steward.create(ask).await }).await?;
    Ok((StatusCode::CREATED, Json(session)).into_response())
}

async fn one(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    Ok(Json(steward.get(&name).await?).into_response())
}

async fn explain(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    Ok(Json(steward.explain(&name).await?).into_response())
}

async fn kill(
    State(steward): State<Steward>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let ask: Kill = read(body)?;
    Ok(Json(apart(async move { steward.kill(&name, ask.signal).await }).await?).into_response())
}

async fn rename(
    State(steward): State<Steward>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let ask: Rename = read(body)?;
    Ok(Json(apart(async move { steward.rename(&name, &ask.name).await }).await?).into_response())
}

async fn restart(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    Ok(Json(apart(async move { steward.restart(&name).await }).await?).into_response())
}

async fn sync(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    let stale = apart(async move { steward.sync(&name).await }).await?;
    Ok(Json(stale).into_response())
}

async fn remove(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    apart(async move { steward.remove(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn stop(State(steward): State<Steward>) -> Response {
    steward.stop();
    StatusCode::NO_CONTENT.into_response()
}

async fn events(State(steward): State<Steward>) -> Response {
    let lines = futures_util::stream::unfold(steward.listen(), |mut listener| async move {
        let event = listener.next().await?;
        let mut line = serde_json::to_vec(&*event).expect("events hold nothing that JSON cannot");
        line.push(b'\n');
        Some((Ok::<_, std::convert::Infallible>(line), listener))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}

async fn no_such_path(uri: axum::http::Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    Failure::new(StatusCode::NOT_FOUND, "not-found", format!("there is nothing at {path}"))
}

async fn no_such_method(method: axum::http::Method, uri: axum::http::Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    let message = format!("{method} means nothing at {path}");
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", message)
}

/// Runs work that is finished even if its client hangs up.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, StewardError>> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::spawn(work).await {
        Ok(result) => Ok(result?),
        Err(e) => Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "failed",
            format!("the steward made a mistake: {e}"),
        )),
    }
}

/// Reads a JSON body; an empty one is an empty object.
pub(crate) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Failure> {
    let body = body.map_err(|e| {
        let message = match e.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {MAX_BODY} bytes"),
            _ => e.body_text(),
        };
        Failure::new(e.status(), "invalid", message)
    })?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(body).map_err(|e| {
        Failure::new(StatusCode::BAD_REQUEST, "invalid", format!("the body cannot be read: {e}"))
    })
}

/// A problem with its HTTP status.
pub(crate) struct Failure(StatusCode, Problem);

impl Failure {
    fn new(status: StatusCode, code: &str, message: String) -> Self {
        Failure(status, Problem { code: code.to_owned(), message, help: None })
    }
}

impl From<StewardError> for Failure {
    fn from(error: StewardError) -> Self {
        let problem = error.problem();
        let status = match problem.code.as_str() {
            "not-found" => StatusCode::NOT_FOUND,
            "exists" | "ended" => StatusCode::CONFLICT,
            "invalid" => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(status, problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
