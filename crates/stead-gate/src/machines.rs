//! Requests about machines, as listed in [`stead_steward::machines::api`].

use crate::answer::{Answer, Ask, apart, json, line, lines};
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use futures_util::stream::unfold;
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
        .route("/v1/machines/{name}/logins", post(logins))
        .route("/v1/machines/{name}/agents/{agent}", post(prepare_agent))
        .route("/v1/machines/{name}/system", post(system_begins))
        .route("/v1/machines/{name}/system/{switch}", post(system_is_brought))
        .route("/v1/machines/{name}/way", get(way))
        .route("/v1/machines/{name}/console", get(console))
        .route("/v1/machines/{name}/script", get(script))
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
    told(machines.listen())
}

async fn list(State(machines): State<Machines>) -> Answer {
    json(machines.list().await)
}

async fn one(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.get(&name).await)
}

async fn make(State(machines): State<Machines>, Ask(ask): Ask<api::Make>) -> Response {
    told(machines.make(ask))
}

async fn destroy(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    told(machines.destroy(name))
}

async fn goes(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.goes(&name).await)
}

async fn up(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    told(machines.up(name))
}

async fn down(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    told(machines.down(name))
}

async fn restart(State(machines): State<Machines>, Path(name): Path<String>) -> Response {
    told(machines.restart(name))
}

async fn exec(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::Exec>,
) -> Answer {
    json(machines.door(&name, ask).await)
}

async fn logins(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::ShareLogins>,
) -> Answer {
    json(apart(async move { machines.share_logins(&name, ask).await }).await)
}

async fn prepare_agent(
    State(machines): State<Machines>,
    Path((name, agent)): Path<(String, String)>,
) -> Answer {
    json(apart(async move { machines.prepare_agent(&name, &agent).await }).await)
}

async fn system_begins(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::Switch>,
) -> Answer {
    json(apart(async move { machines.system_begins(&name, ask).await }).await)
}

async fn system_is_brought(
    State(machines): State<Machines>,
    Path((name, switch)): Path<(String, String)>,
) -> Answer {
    json(apart(async move { machines.system_is_brought(&name, &switch).await }).await)
}

async fn way(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.way(&name).await)
}

async fn console(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.console(&name).await)
}

async fn script(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.script(&name).await)
}

async fn diff(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.diff(&name).await)
}

async fn snapshots(State(machines): State<Machines>, Path(name): Path<String>) -> Answer {
    json(machines.snapshots(&name).await)
}

async fn snapshot(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::Keep>,
) -> Response {
    told(machines.snapshot(name, ask))
}

async fn remove_snapshot(
    State(machines): State<Machines>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    told(machines.remove_snapshot(name, snapshot))
}

async fn restore(
    State(machines): State<Machines>,
    Path((name, snapshot)): Path<(String, String)>,
) -> Response {
    told(machines.restore(name, snapshot))
}

async fn clone(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::CloneInto>,
) -> Response {
    told(machines.clone_machine(name, ask))
}

async fn move_state(
    State(machines): State<Machines>,
    Path(name): Path<String>,
    Ask(ask): Ask<api::MoveTo>,
) -> Response {
    told(machines.move_state(name, ask.to))
}

async fn plan(State(machines): State<Machines>, Ask(ask): Ask<api::Declared>) -> Answer {
    json(apart(async move { machines.plan(&ask).await }).await)
}

async fn apply(State(machines): State<Machines>, Ask(ask): Ask<api::Apply>) -> Response {
    told(machines.apply(ask))
}

async fn operations(State(machines): State<Machines>) -> Answer {
    json(machines.operations())
}

async fn operation(State(machines): State<Machines>, Path(id): Path<String>) -> Answer {
    json(machines.operation(&id))
}

/// Work that goes on.
fn told(of_it: Lines) -> Response {
    lines(unfold(of_it, async |mut of_it| Some((line(&of_it.next().await?), of_it))))
}
