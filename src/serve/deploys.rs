//! The document of all apps, in parts that are read while the ones before are sent: neither many apps
//! nor slow readers cost much memory, and no reader keeps the ledger.

use std::sync::Arc;

use axum::body::Body;
use tokio::sync::mpsc;

use super::api::Api;
use super::replies::{self, Pieces, Reply};
use crate::clock::{Clock, System};
use crate::error::{Error, Result};
use crate::ledger::{Attempt, documents};
use crate::output::json::Listing;

/// A document that is being made.
struct Deploys {
    api: Arc<Api>,
    listing: Listing,
    /// The app that the next part begins after; `None`: all were read.
    after: Option<String>,
    /// The open attempts that came with the apps.
    open: Vec<Attempt>,
}

/// The answer: whole where the apps are few, else as it is made.
pub(super) async fn reply(api: Arc<Api>) -> Reply {
    let mut deploys = Deploys {
        api,
        listing: Listing::new("apps", false),
        after: Some(String::new()),
        open: Vec::new(),
    };
    let first = match deploys.next().await {
        Ok(first) => first,
        Err(error) => return replies::ledger_failed(&error),
    };
    if deploys.after.is_none() {
        return replies::json_text(first);
    }
    let (pieces, body) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut piece = Ok(first);
        // Who does not read any more ends it.
        while pieces.send(piece).await.is_ok() && deploys.after.is_some() {
            piece = deploys.next().await;
        }
    });
    replies::json_text(Body::new(Pieces(body)))
}

impl Deploys {
    /// The next piece of text; with the last apps comes the rest of the document. What fails is the
    /// last piece.
    async fn next(&mut self) -> Result<String> {
        let after = self.after.take().unwrap_or_default();
        let store = self.api.store.clone();
        let read = store.read(move |ledger, scope| {
            let mut part = ledger.apps_after(scope, &after, documents::PART)?;
            part.apps.drop_retired();
            Ok((documents::apps(&part.apps), part.apps.open, part.last))
        });
        let (apps, open, last) = read.await?;
        let mut text = self.listing.items(&apps).map_err(|e| unwritten(&e))?;
        self.open.extend(open);
        if last.is_none() {
            text += &self.end().await?;
        }
        self.after = last;
        Ok(text)
    }

    /// What follows the apps.
    async fn end(&mut self) -> Result<String> {
        let (order, open) = (self.api.order, std::mem::take(&mut self.open));
        let read = self.api.store.read(move |ledger, scope| {
            let mut in_force = ledger.in_force(scope)?;
            in_force.add_open(open.into_iter());
            in_force.drop_ended_holds(order, System.now_ms());
            in_force.drop_retired();
            let lease = ledger.lease_info(scope)?;
            Ok(documents::in_force(&in_force, lease.as_ref()))
        });
        let rest = read.await?;
        self.listing.end(&rest).map_err(|e| unwritten(&e))
    }
}

fn unwritten(cause: &serde_json::Error) -> Error {
    Error::unavailable("the answer cannot be written").because_of(cause)
}
