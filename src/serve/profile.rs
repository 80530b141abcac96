//! `-L`: CPU profiles that `go tool pprof` reads.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use pprof::ProfilerGuard;
use pprof::protos::Message;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use super::gate::{check_form, host};
use super::listener::serve;
use super::places::Places;
use super::replies::{Reply, error, text};

/// Samples a second; no divisor of what else happens at round intervals.
const FREQUENCY: i32 = 99;
/// The length of a profile that none was asked for, in seconds.
const DEFAULT_SECONDS: u32 = 30;
/// The longest profile, in seconds.
const MOST_SECONDS: u32 = 300;
/// The most connections at a time.
const CONNECTIONS: usize = 16;
const INDEX: &str = "profile?seconds=N: CPU profile of this process, N from 1 to 300 (30)\n\
    Passes are processes of their own and are not in it.\n";

#[derive(Clone)]
struct Profiler {
    /// The kernel has one profiling timer a process.
    timer: Arc<Semaphore>,
    shutdown: watch::Receiver<bool>,
}

#[derive(serde::Deserialize)]
struct Parameters {
    seconds: Option<u32>,
}

/// Serves `/debug/pprof/` until `shutdown` holds true. Profiles tell how the program is built and
/// what it does: a listener that others than this host reach is refused.
pub async fn profiler(listener: TcpListener, shutdown: watch::Receiver<bool>) {
    if !listener.local_addr().is_ok_and(|at| at.ip().is_loopback()) {
        tracing::warn!(target: "serve", "profiles are served on loopback addresses only");
        return;
    }
    let profiler = Profiler {
        timer: Arc::new(Semaphore::new(1)),
        shutdown: shutdown.clone(),
    };
    let app = Router::new()
        .route("/debug/pprof/", get(index))
        .route("/debug/pprof/profile", get(profile))
        .with_state(profiler)
        .layer(from_fn(of_this_host));
    serve(
        listener,
        app,
        Places::new(CONNECTIONS, CONNECTIONS, Vec::new()),
        shutdown,
        false,
    )
    .await;
}

/// Answers who asks for this host only: a page of another one, whose name was made to lead here, asks
/// for that name.
async fn of_this_host(request: Request, next: Next) -> Reply {
    let (parts, body) = request.into_parts();
    if let Err(refusal) = check_form(&parts) {
        return refusal.reply();
    }
    match host(&parts.headers) {
        Ok(Some(name)) if !is_loopback(name) => error(
            StatusCode::FORBIDDEN,
            "The Host is not this one's loopback.",
        ),
        _ => next.run(Request::from_parts(parts, body)).await,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

async fn index() -> Reply {
    text("text/plain; charset=utf-8", INDEX)
}

async fn profile(
    State(mut profiler): State<Profiler>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Reply {
    let seconds = match parameters {
        Ok(Query(parameters)) => parameters.seconds.unwrap_or(DEFAULT_SECONDS),
        Err(_) => 0,
    };
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return error(StatusCode::BAD_REQUEST, "seconds is a number from 1 to 300");
    }
    let Ok(_turn) = profiler.timer.clone().try_acquire_owned() else {
        return error(StatusCode::CONFLICT, "a profile is being taken");
    };
    let guard = match ProfilerGuard::new(FREQUENCY) {
        Ok(guard) => guard,
        Err(failed) => return unavailable(&failed),
    };
    tokio::select! {
        () = sleep(Duration::from_secs(u64::from(seconds))) => {}
        _ = profiler.shutdown.wait_for(|stop| *stop) => {
            return error(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down");
        }
    }
    match tokio::task::spawn_blocking(move || encoded(&guard)).await {
        Ok(Ok(bytes)) => text("application/octet-stream", bytes),
        Ok(Err(failed)) => unavailable(&failed),
        Err(failed) => unavailable(&failed),
    }
}

fn unavailable(failed: &dyn std::error::Error) -> Reply {
    error(StatusCode::SERVICE_UNAVAILABLE, &failed.to_string())
}

/// The profile as a compressed protocol buffer.
fn encoded(guard: &ProfilerGuard<'_>) -> pprof::Result<Vec<u8>> {
    let profile = guard.report().build()?.pprof()?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&profile.encode_to_vec())?;
    Ok(gzip.finish()?)
}
