//! Requests about machines, as listed in [`stead_steward::machines::api`].

use crate::routes::{Answer, apart, read};
use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use stead_steward::machines::{Lines, Machines, api};

/// The routes.
pub fn router(machines: Machines) -> Router {
    Router::new()
        .route("/v1/machines", get(list).post(make))
        .route("/v1/machines/{name}", get(one).delete(destroy))
        .route("/v1/machines/{name}/goes", get(goes))
        .route("/v1/machines/{name}/up", post(up))
        .route("/v1/machines/{name}/down", post(down))
        .route("/v1/machines/{name}/restart", post(restart))
        .route("/v1/machines/{name}/exec", post(exec))
        .route("/v1/machines/{name}/way", get(way))
        .route("/v1/machines/{name}/diff", get(diff))
        .route("/v1/machines/{name}/snapshots", get(snapshots).post(snapshot))
        .route("/v1/machines/{name}/snapshots/{snapshot}", delete(remove_snapshot))
        .route("/v1/machines/{name}/snapshots/{snapshot}/restore", post(restore))
        .route("/v1/machines/{name}/clone", post(clone))
        .route("/v1/machines/{name}/move", post(move_state))
        .route("/v1/plan", post(plan))
        .route("/v1/apply", post(apply))
        .route("/v1/operations", get(operations))
        .route("/v1/operations/events", get(events))
        .route("/v1/operations/{id}", get(operation))
        .with_state(machines)
}

async fn events(State(machines): State<Machines>) -> Response {
    lines(machines.listen())
}

async fn list(State(machines): State<Machines>) -> Answer {
    Ok(Json(machines.list().await?).into_response())
}

async fn one(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    Ok(Json(machines.get(&name).await?).into_response())
}

async fn make(State(machines): State<Machines>, body: Result<Bytes, BytesRejection>) -> Answer {
    Ok(lines(machines.make(read(body)?)))
}

async fn destroy(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    lines(machines.destroy(name))
}

async fn goes(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    Ok(Json(machines.goes(&name).await?).into_response())
}

async fn up(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    lines(machines.up(name))
}

async fn down(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    lines(machines.down(name))
}

async fn restart(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    lines(machines.restart(name))
}

async fn exec(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    Ok(Json(machines.door(&name, read(body)?).await?).into_response())
}

async fn way(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    Ok(Json(machines.way(&name).await?).into_response())
}

async fn diff(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    Ok(Json(machines.diff(&name).await?).into_response())
}

async fn snapshots(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    Ok(Json(machines.snapshots(&name).await?).into_response())
}

async fn snapshot(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    Ok(lines(machines.snapshot(name, read(body)?)))
}

async fn remove_snapshot(
    State(machines): State<Machines>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    lines(machines.remove_snapshot(name, snapshot))
}

async fn restore(
    State(machines): State<Machines>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    lines(machines.restore(name, snapshot))
}

async fn clone(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    Ok(lines(machines.clone_machine(name, read(body)?)))
}

async fn move_state(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let ask: api::MoveTo = read(body)?;
    Ok(lines(machines.move_state(name, ask.to)))
}

async fn plan(State(machines): State<Machines>, body: Result<Bytes, BytesRejection>) -> Answer {
    let ask: api::Declared = read(body)?;
    let plan = apart(async move { machines.plan(&ask).await }).await?;
    Ok(Json(plan).into_response())
}

async fn apply(State(machines): State<Machines>, body: Result<Bytes, BytesRejection>) -> Answer {
    Ok(lines(machines.apply(read(body)?)))
}

async fn operations(State(machines): State<Machines>) -> Answer {
    Ok(Json(machines.operations()?).into_response())
}

async fn operation(State(machines): State<Machines>, Path(id): Path<String>) -> Answer {
    Ok(Json(machines.operation(&id)?).into_response())
}

/// Work that goes on, as lines of JSON.
fn lines(lines: Lines) -> Response {
    let lines = futures_util::stream::unfold(lines, |mut lines| async move {
        let line = lines.next().await?;
        let mut line = serde_json::to_vec(&line).expect("lines hold nothing that JSON cannot");
        line.push(b'\n');
        Some((Ok::<_, std::convert::Infallible>(line), lines))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, Body::from_stream(lines)).into_response()
}
