//! Requests and answers.

use crate::answer::{Answer, Ask, Failure, MAX_BODY, apart, json, line, lines};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::unfold;
use stead_steward::Steward;
use stead_steward::machines::Machines;
use stead_wire::api::{Create, Kill, Rename};

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

async fn create(State(steward): State<Steward>, Ask(ask): Ask<Create>) -> Answer {
    // A client that goes away must not leave a session half made: the work is not the request's own.
    let session = apart(async move { steward.create(ask).await }).await?;
    Ok((StatusCode::CREATED, Json(session)).into_response())
}

async fn one(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    json(steward.get(&name).await)
}

async fn explain(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    json(steward.explain(&name).await)
}

async fn kill(
    State(steward): State<Steward>,
    Path(name): Path<String>,
    Ask(ask): Ask<Kill>,
) -> Answer {
    json(apart(async move { steward.kill(&name, ask.signal).await }).await)
}

async fn rename(
    State(steward): State<Steward>,
    Path(name): Path<String>,
    Ask(ask): Ask<Rename>,
) -> Answer {
    json(apart(async move { steward.rename(&name, &ask.name).await }).await)
}

async fn restart(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    json(apart(async move { steward.restart(&name).await }).await)
}

async fn sync(State(steward): State<Steward>, Path(name): Path<String>) -> Answer {
    json(apart(async move { steward.sync(&name).await }).await)
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
    lines(unfold(steward.listen(), async |mut listener| {
        let event = listener.next().await?;
        Some((line(&*event), listener))
    }))
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
