//! What goes in and out of a request: JSON, JSON lines, problems.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use stead_steward::StewardError;
use stead_wire::api::Problem;

/// Largest body of a request, in bytes: an environment and a prompt fit.
pub(crate) const MAX_BODY: usize = 8 * 1024 * 1024;

pub(crate) type Answer = Result<Response, Failure>;

/// The JSON body of a request; an empty one is an empty object.
pub(crate) struct Ask<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Ask<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, state).await.map_err(|e| {
            let message = match e.status() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    format!("the body is larger than {MAX_BODY} bytes")
                }
                _ => e.body_text(),
            };
            Failure::new(e.status(), "invalid", message)
        })?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map(Ask).map_err(|e| {
            let message = format!("the body cannot be read: {e}");
            Failure::new(StatusCode::BAD_REQUEST, "invalid", message)
        })
    }
}

/// What came of it, as JSON.
pub(crate) fn json<T: Serialize>(result: Result<T, impl Into<Failure>>) -> Answer {
    result.map(|value| Json(value).into_response()).map_err(Into::into)
}

/// A value as a line of JSON.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("lines hold nothing that JSON cannot");
    line.push(b'\n');
    line
}

/// Lines as they come.
pub(crate) fn lines(lines: impl Stream<Item = Vec<u8>> + Send + 'static) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines.map(Ok::<_, Infallible>))).into_response()
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

/// A problem with its HTTP status.
pub(crate) struct Failure(StatusCode, Problem);

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &str, message: String) -> Self {
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
