//! Counts of requests since the start, for `/v1.0/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::route::Route;

/// The counts; a route is counted when its request begins, so that the answer counts itself.
pub(super) struct Stats {
    started: SystemTime,
    bytes: AtomicU64,
    routes: [AtomicU64; Route::ALL.len()],
}

impl Stats {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            bytes: AtomicU64::new(0),
            routes: Default::default(),
        }
    }

    /// Counts a request.
    pub(super) fn request(&self, route: Route) {
        if let Some(count) = self.routes.get(route as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the bytes of a request's body.
    pub(super) fn body(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counts under the keys of the Go program; routes without a request are left out, and
    /// all unknown paths are the route `other`.
    pub(super) fn document(&self) -> Value {
        let mut routes = Map::new();
        let mut total = 0;
        for (route, count) in Route::ALL.into_iter().zip(&self.routes) {
            let count = count.load(Ordering::Relaxed);
            total += count;
            if count > 0 {
                routes.insert(route.template().into(), json!({ "requestCount": count }));
            }
        }
        json!({
            "startTime": humantime::format_rfc3339_nanos(self.started).to_string(),
            "requestCount": total,
            "requestBytes": self.bytes.load(Ordering::Relaxed),
            "routeStats": routes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_without_requests_are_left_out() {
        let stats = Stats::new();
        stats.request(Route::Info);
        stats.request(Route::Info);
        stats.request(Route::Other);
        stats.body(7);
        let shown = stats.document();
        assert_eq!(shown["requestCount"], 3);
        assert_eq!(shown["requestBytes"], 7);
        assert_eq!(
            shown["routeStats"],
            json!({"/v1.0/info": {"requestCount": 2}, "other": {"requestCount": 1}})
        );
    }
}
